package incident

import "readmit.dev/readmit/store"

// Record appends a line to an account's ledger. account.Hot is saved with it.
func Record(tx store.Tx, account *store.Subject, ring store.Ring, c Content) error {
	account.Hot.Seq[ring]++
	if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
		return err
	}
	return tx.Append(c.Entry(ring, account.Hot.Seq[ring]))
}
