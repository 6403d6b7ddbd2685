package swarm

import "testing"

// BenchmarkMetered is what counting and an absent limit cost a message of 256 KiB,
// beside the connection alone, which does nothing here.
func BenchmarkMetered(b *testing.B) {
	block := make([]byte, nodeChunk)
	limits := Limits{}
	limits.Classes[Client].Upload = MinRate // of others
	for name, l := range map[string]Limits{"no limit": {}, "a limit of others": limits} {
		b.Run(name, func(b *testing.B) {
			s := &Swarm{limiter: newLimiter(l)}
			m := s.meter(endless{}, true)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				if _, err := m.Write(block); err != nil {
					b.Fatal(err)
				}
				if _, err := m.Read(block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
