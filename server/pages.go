package server

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/yuin/goldmark"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/docs"
)

// pages serves one page per cause, for people: it is where a refusal's type
// points.
type pages struct{}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}} - Readmit</title>
<main>{{.Body}}</main></html>
`))

func (pages) serve(w http.ResponseWriter, r *http.Request) {
	row, ok := cause.Lookup(cause.Code(r.PathValue("code")))
	if !ok {
		http.Error(w, "There is no cause of this name.", http.StatusNotFound)
		return
	}
	source, err := docs.Causes.ReadFile("causes/" + string(row.Code) + ".md")
	if err != nil {
		http.Error(w, "The page of this cause is missing.", http.StatusNotFound)
		return
	}
	var body bytes.Buffer
	if err := goldmark.Convert(source, &body); err != nil {
		http.Error(w, "The page of this cause cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The body is our own page, from the binary itself.
	page.Execute(w, map[string]any{"Title": row.Title, "Body": template.HTML(body.String())})
}
