package opaque

import "testing"

// BenchmarkServerLogin is the whole of a server's work for one login: the
// answer to the first message and the look at the last.
func BenchmarkServerLogin(b *testing.B) {
	s, id := testServer(b), []byte("jo")
	record := enrol(b, s, id, []byte("right"))
	_, ke1 := begin(b, []byte("right"))
	ke3 := DecoyKE3()
	for _, c := range []struct {
		name   string
		record []byte
	}{{"known", record}, {"stand-in", nil}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, expected, err := s.Login(c.record, ke1, id)
				if err != nil {
					b.Fatal(err)
				}
				expected.Verify(ke3)
			}
		})
	}
}

// BenchmarkFormer is what the offer of a former password adds to that.
func BenchmarkFormer(b *testing.B) {
	s, id := testServer(b), []byte("jo")
	record := enrol(b, s, id, []byte("right"))
	_, ke1 := begin(b, []byte("right"))
	ke2, _, err := s.Login(record, ke1, id)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		record []byte
	}{{"known", record}, {"stand-in", nil}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Former(c.record, ke1, ke2, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
