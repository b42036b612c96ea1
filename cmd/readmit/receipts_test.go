package main

import (
	"testing"
	"time"

	"readmit.dev/readmit/api"
)

func TestSilence(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		s    api.Silent
		want string
	}{
		{api.Silent{Service: "shop", Status: "paused", Since: now.Add(-3 * time.Minute).UnixMicro()}, "shop: its stream was paused 3 min ago; changes wait until it is resumed"},
		{api.Silent{Service: "shop", Status: "paused", Parked: true, Since: now.Add(-3 * time.Minute).UnixMicro()}, "shop: parked 3 min ago, as it refused a change or took none for a day; changes wait until the operator resumes it"},
		{api.Silent{Service: "shop", Status: "disabled", Since: now.Add(-2 * time.Hour).UnixMicro()}, "shop: its stream was disabled 2 h ago; changes made meanwhile are not kept for it, and it does not hear of them"},
		{api.Silent{Service: "shop", Status: "deleted"}, "shop: its stream is deleted; changes made meanwhile are not kept for it, and it does not hear of them"},
	} {
		if got := silence(c.s, now); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	of := api.AdminServiceState{AdminService: api.AdminService{Status: "paused", Since: 1}, First: &api.AdminWaiting{}}
	if got := whyWaiting(of); got != "the stream is paused" {
		t.Errorf("what waits for a paused stream: %s", got)
	}
}
