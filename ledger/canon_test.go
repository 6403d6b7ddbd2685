package ledger

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReaderStrings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in, want string
		ok       bool
	}{
		{`""`, "", true},
		{`"plain"`, "plain", true},
		{`"q\"b\\n\n"`, "q\"b\\n\n", true},
		{`"grüße 🐳"`, "grüße 🐳", true},
		{`"0123456789abcdef0123456789abcdef"`, "0123456789abcdef0123456789abcdef", true},
		{`"0123456789abcdef0123456789abcdef0"`, "", false}, // too long
		{`"\\0123456789abcdef0123456789abcdef"`, "", false},
		{`"a\/b"`, "", false}, // escapes that other JSON allows
		{`"\u0041"`, "", false},
		{`"\t"`, "", false},
		{"\"a\tb\"", "", false},
		{"\"a\nb\"", "", false},
		{"\"\\\"a\nb\"", "", false},
		{"\"\xff\"", "", false},
		{"\"\\n\xff\"", "", false},
		{"\"\xed\xa0\x80\"", "", false}, // a surrogate
		{`"open`, "", false},
		{`"open\`, "", false},
		{`"open\"`, "", false},
		{`bare`, "", false},
		{``, "", false},
		{`"a" `, "", false},
	} {
		r := &reader{all: []byte(tc.in)}
		got := r.str(32)
		if err := r.end(); (err == nil) != tc.ok || tc.ok && got != tc.want {
			t.Errorf("%s: %q, %v, want %q, %v", tc.in, got, err, tc.want, tc.ok)
		}
	}
}

func TestReaderNumbers(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"0": true, "7": true, "100": true, "101": false, "00": false, "01": false, "-1": false, "+1": false,
		"1.0": false, "1e2": false, "": false, "x": false, "18446744073709551616": false,
		"99999999999999999999999": false,
	} {
		r := &reader{all: []byte(in)}
		r.num(100)
		if err := r.end(); (err == nil) != ok {
			t.Errorf("%q: %v, want ok %v", in, err, ok)
		}
	}
}

func TestReaderBase64(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		`""`: true, `"QQ=="`: true, `"QUJD"`: true,
		`"QR=="`: false, // padding bits that are not zero
		`"QQ"`:   false, `"QQ="`: false, `"QQ==="`: false, `"Q Q=="`: false, "\"QQ\n==\"": false, "\"QQ==\n\"": false,
		`"_w=="`: false, `"QUJDRA=="`: false, `"QQ==`: false, `QQ==`: false,
	} {
		r := &reader{all: []byte(in)}
		r.base64(3)
		if err := r.end(); (err == nil) != ok {
			t.Errorf("%s: %v, want ok %v", in, err, ok)
		}
	}
}

func TestReaderAny(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		`{}`: true, `[]`: true, `{"a":1}`: true, `{"b":1,"a":{"a":[1,2,"x",true,false,null]}}`: true,
		`{"a":1,"a":2}`: false, `{"a":{"b":1,"b":1}}`: false, `{"a":1,}`: false, `{,}`: false, `[1,]`: false,
		`{"a" :1}`: false, `[1, 2]`: false, `[1.5]`: false, `[-1]`: false, `nul`: false, ``: false, `{}x`: false,
		`9007199254740991`: true, `9007199254740992`: false,
		strings.Repeat("[", 7) + "[]" + strings.Repeat("]", 7):        true,
		strings.Repeat("[", 8) + "[]" + strings.Repeat("]", 8):        false,
		strings.Repeat(`{"a":`, 100000) + strings.Repeat("}", 100000): false,
		strings.Repeat(`[`, 100000):                                   false,
	} {
		r := &reader{all: []byte(in)}
		r.any(8)
		if err := r.end(); (err == nil) != ok {
			t.Errorf("%.60s: %v, want ok %v", in, err, ok)
		}
	}
}

func TestReaderDict(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		`{"a":"x"}`: true, `{"a":"x","b":"y"}`: true, `{"":"x"}`: true,
		`{}`: false, `{"b":"x","a":"y"}`: false, `{"a":"x","a":"y"}`: false, `{"a":"x","b":"y","c":"z"}`: false, `{"abc":"x"}`: false,
	} {
		r := &reader{all: []byte(in)}
		r.dict(2, 2, func(string) { r.str(9) })
		if err := r.end(); (err == nil) != ok {
			t.Errorf("%s: %v, want ok %v", in, err, ok)
		}
	}
}

// FuzzReader: what is accepted is JSON, and strings come back as they were.
func FuzzReader(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\n",{"b":null}]}`, `""`, `"\\\""`, `[true,false]`, `12`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := &reader{all: in}
		r.any(8)
		if r.end() == nil && !json.Valid(in) {
			t.Errorf("%q was accepted and is no JSON", in)
		}
		r = &reader{all: in}
		if s := r.str(1000); r.end() == nil {
			var want string
			if err := json.Unmarshal(in, &want); err != nil || want != s {
				t.Errorf("%q: %q, want %q: %v", in, s, want, err)
			}
			if got := appendString(nil, s); string(got) != string(in) {
				t.Errorf("%q re-encodes to %q", in, got)
			}
		}
	})
}
