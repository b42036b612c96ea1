package verify_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"readmit.dev/readmit/verify"
)

func Example() {
	v, err := verify.New(verify.Config{
		Issuer:   "https://id.example.org",    // the account server
		Audience: "https://notes.example.org", // this service, as it is registered
		Secret:   verify.SecretFile("/etc/notes/readmit.secret"),
	})
	if err != nil {
		log.Fatal(err)
	}
	go v.Run(context.Background()) // follows the signals, until the context ends

	notes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := verify.FromContext(r.Context())
		fmt.Fprintf(w, "the notes of account %s\n", who.Account)
	})
	server := &http.Server{
		Addr:              "127.0.0.1:7001",
		Handler:           v.Require(notes),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
