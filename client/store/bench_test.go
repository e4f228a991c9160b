package store

import (
	"encoding/binary"
	"testing"

	"parley/client"
)

// BenchmarkUpdate measures one durable transaction with as many rows as
// applying a page of messages writes.
func BenchmarkUpdate(b *testing.B) {
	for name, rows := range map[string]int{"1 row": 1, "100 rows": 100, "768 rows": 768} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			value := make([]byte, 400)
			n := uint64(0)
			for b.Loop() {
				err := s.Update(func(tx client.Tx) error {
					for range rows {
						n++
						if err := tx.Put(client.TableMessages, binary.BigEndian.AppendUint64([]byte("room\x00"), n), value); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
