package agent

import (
	"context"

	"readmit.dev/readmit/api"
)

// Receipts asks which services have which change of the account; of one epoch
// alone where that is not zero.
func (a *Agent) Receipts(ctx context.Context, epoch int64) (api.Receipts, error) {
	var out api.Receipts
	id, s, c, err := a.session()
	if err != nil {
		return out, err
	}
	defer c.Close()
	return out, a.call(ctx, c, id.Account, "receipts", api.PathReceipts, api.ReceiptsRequest{Session: s.ID, Epoch: epoch}, &out)
}
