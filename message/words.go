package message

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"readmit.dev/readmit/store"
)

//go:embed words/*.json
var wordFiles embed.FS

// Languages that messages are written in; the first is the usual one.
var Languages = []string{"en", "de", "ar"}

// Language is the one of Languages that is asked for, or the usual one.
func Language(asked string) string {
	asked, _, _ = strings.Cut(strings.ToLower(asked), "-")
	for _, l := range Languages {
		if l == asked {
			return l
		}
	}
	return Languages[0]
}

// words are the texts of one kind in one language.
type words struct {
	Subject string   `json:"subject"`
	Mail    []string `json:"mail"` // paragraphs
	SMS     string   `json:"sms"`
}

// catalogue is every text, by language and kind.
var catalogue = sync.OnceValue(load)

func load() map[string]map[string]words {
	all := map[string]map[string]words{}
	for _, l := range Languages {
		b, err := wordFiles.ReadFile("words/" + l + ".json")
		if err == nil {
			var w map[string]words
			err = json.Unmarshal(b, &w)
			all[l] = w
		}
		if err != nil {
			panic(fmt.Sprintf("words/%s.json: %v", l, err)) // it is part of the program
		}
	}
	return all
}

// names are our own words for who did a thing, by language: what stands for the
// name of a device must not be another language's.
var names = sync.OnceValue(func() map[string]map[string]string {
	b, err := wordFiles.ReadFile("words/names.json")
	var all map[string]map[string]string
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		panic(fmt.Sprintf("words/names.json: %v", err)) // it is part of the program
	}
	return all
})

// own puts a language's words in the place of those that stand for a name.
func own(language string, with map[string]string) {
	for _, k := range []string{"device", "passkey", "by"} {
		if with[k] == unnamed {
			with[k] = names()[language][unnamed]
		}
	}
	if with["from"] == local {
		with["from"] = names()[language][local]
	}
	if w, ok := with["whom"]; ok {
		with["by"] = names()[language][w]
	}
}

var errKind = errors.New("message: there is no such kind, or it does not go by this channel")

// write makes the text of a message. public is the server's address.
func write(language, kind, channel, public string, given map[string]string) (subject, body string, err error) {
	w, ok := catalogue()[language][kind]
	if !ok {
		return "", "", errKind
	}
	with, err := clean(given)
	if err != nil {
		return "", "", err
	}
	own(language, with)
	// The page that stops a recovery gets its word in the fragment, which browsers
	// send to nobody: fetching the link, as mail scanners do, stops nothing.
	stop := public + "/recover#stop=" + url.PathEscape(with["word"])
	u, err := url.Parse(public)
	if err != nil {
		return "", "", err
	}
	if language == "ar" {
		// What is written from left to right keeps its order within a sentence that
		// runs the other way.
		for k, v := range with {
			if k != "code" && k != "accounts" {
				with[k] = "\u2068" + v + "\u2069"
			}
		}
	}
	with["url"], with["host"], with["stop"] = public, u.Hostname(), stop
	if channel == store.Phone {
		if w.SMS == "" {
			return "", "", errKind
		}
		body, err = fill(w.SMS, with)
		return "", body, err
	}
	if w.Subject == "" || len(w.Mail) == 0 {
		return "", "", errKind
	}
	if body, err = fill(strings.Join(w.Mail, "\n\n")+"\n", with); err != nil {
		return "", "", err
	}
	return w.Subject, body, nil
}
