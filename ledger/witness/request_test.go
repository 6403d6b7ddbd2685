package witness_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger/witness"
)

// example is that of https://c2sp.org/tlog-witness.
const example = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`

func TestParseRequest(t *testing.T) {
	t.Parallel()
	r, err := witness.ParseRequest([]byte(example))
	if err != nil || r.Old != 20852014 || len(r.Proof) != 4 || string(r.Encode()) != example {
		t.Fatalf("%+v, %v", r, err)
	}
	line := strings.SplitAfter(example, "\n")[1]
	for name, in := range map[string]string{
		"empty":           "",
		"no old":          strings.Replace(example, "old ", "", 1),
		"OLD":             strings.Replace(example, "old", "OLD", 1),
		"two spaces":      strings.Replace(example, "old ", "old  ", 1),
		"leading zero":    strings.Replace(example, "old 2", "old 02", 1),
		"plus":            strings.Replace(example, "old 2", "old +2", 1),
		"negative":        strings.Replace(example, "old 2", "old -2", 1),
		"hex":             strings.Replace(example, "old 20852014", "old 0x1", 1),
		"beyond 2^63-1":   strings.Replace(example, "old 20852014", "old 9223372036854775808", 1),
		"no number":       strings.Replace(example, "old 20852014", "old ", 1),
		"crlf":            strings.ReplaceAll(example, "\n", "\r\n"),
		"short hash":      strings.Replace(example, "PlRN", "", 1),
		"spare bits":      strings.Replace(example, "pkaw=", "pkax=", 1),
		"unpadded":        strings.Replace(example, "pkaw=", "pkaw", 1),
		"space in hash":   strings.Replace(example, "pkaw=", "pkaw= ", 1),
		"64 hashes":       strings.Replace(example, line, strings.Repeat(line, 61), 1),
		"no empty line":   strings.Replace(example, "\n\n", "\n", 1),
		"no note":         example[:strings.Index(example, "\n\n")+2],
		"unsigned":        example[:strings.Index(example, "— ")],
		"leading newline": "\n" + example,
		"large":           example + strings.Repeat("x", witness.MaxRequest),
	} {
		if _, err := witness.ParseRequest([]byte(in)); !errors.Is(err, witness.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	most := strings.Replace(example, line, strings.Repeat(line, 60), 1)
	if r, err := witness.ParseRequest([]byte(most)); err != nil || len(r.Proof) != witness.MaxProof {
		t.Errorf("63 hashes: %d, %v", len(r.Proof), err)
	}
}

// FuzzParseRequest: what is accepted re-encodes to the same bytes, and a
// witness answers whatever it is.
func FuzzParseRequest(f *testing.F) {
	log := newLog(f, "example.com/log", "a", 20)
	f.Add([]byte(example))
	f.Add(log.request(f, 0, 10).Encode())
	f.Add(log.request(f, 10, 20).Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := witness.ParseRequest(in); err == nil && !bytes.Equal(r.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, r.Encode())
		}
		w := newWitness(t, witness.NewMem(), nil, log)
		mustCosign(t, w, log.request(t, 0, 10))
		if a, err := w.Serve(t.Context(), in); (a.Status == 200) != (err == nil) {
			t.Errorf("%q: %d, %v", in, a.Status, err)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("409 text/x.tlog.size\n20852014\n"))
	f.Add([]byte("200 text/plain; charset=utf-8\n— w AAAAAAEC\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if a, err := witness.ParseAnswer(in); err == nil && !bytes.Equal(a.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, a.Encode())
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(witness.Record{}.Encode())
	f.Add(witness.Record{Size: 7, Time: 9, Checkpoint: []byte("a\n7\n")}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := witness.DecodeRecord(in)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Encode(), in) {
			t.Errorf("%x re-encodes to %x", in, r.Encode())
		}
		again, err := witness.DecodeRecord(r.Encode())
		if diff := cmp.Diff(r, again); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}
