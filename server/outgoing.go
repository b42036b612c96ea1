package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"readmit.dev/readmit/message"
	transport "readmit.dev/readmit/message/send"
	"readmit.dev/readmit/store"
)

// outgoing makes what sends mail and SMS. What is not configured has no
// sender, but on a server that this machine alone can reach: there the one who
// runs it reads the messages on the terminal. Elsewhere that would put codes
// into whatever keeps the output of services.
func (c Config) outgoing() (map[string]message.Sender, error) {
	out := map[string]message.Sender{}
	if c.Terminal != nil && c.Open() {
		out[store.Email], out[store.Phone] = terminals(c)
	}
	if c.SMTP == "" && cmp.Or(c.SMTPUser, c.SMTPPassword, c.MailFrom) != "" {
		return nil, errors.New("smtp_user, smtp_password and mail_from are of use with smtp only: set smtp to smtps://host:465 or smtp://host:587")
	}
	if c.SMS == "" && (c.SMSSecret != "" || len(c.SMSPrivate) > 0) {
		return nil, errors.New("sms_secret and sms_private are of use with sms only: set sms to the address of the SMS service")
	}
	if (c.SMTPUser == "") != (c.SMTPPassword == "") {
		return nil, errors.New("smtp_user and smtp_password belong together: give both or neither")
	}
	if c.SMTP != "" {
		password, err := secret("smtp_password", c.SMTPPassword)
		if err != nil {
			return nil, err
		}
		if out[store.Email], err = transport.NewMail(c.SMTP, c.MailFrom, c.SMTPUser, password); err != nil {
			return nil, err
		}
	}
	if c.SMS != "" {
		token, err := secret("sms_secret", c.SMSSecret)
		if err != nil {
			return nil, err
		}
		if out[store.Phone], err = transport.NewWebhook(c.SMS, token, c.SMSPrivate, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func terminals(c Config) (mail, sms message.Sender) { return transport.NewTerminals(c.Terminal) }

const maxSecret = 4096

// secret reads a secret from a file that nobody else can read.
func secret(key, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	if runtime.GOOS != "windows" && i.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: others can read %s (mode %04o): run chmod 600 %s", key, file, i.Mode().Perm(), file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s: %s is longer than a secret", key, file)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s: %s is empty", key, file)
	}
	return s, nil
}
