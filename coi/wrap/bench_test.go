package wrap

import (
	"fmt"
	"testing"
)

// BenchmarkSeal seals a room key to EC certificates.
func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{1, 2, 5, 20} {
		_, to := communities(b, repeated("p256", n)...)
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchSeal(b, to, SealOptions{Mode: Any}) })
	}
}

// BenchmarkSealWays seals to one certificate of each kind, and in each way to
// two.
func BenchmarkSealWays(b *testing.B) {
	for _, kind := range []string{"p256", "p384", "rsa"} {
		_, to := communities(b, kind)
		b.Run(kind, func(b *testing.B) { benchSeal(b, to, SealOptions{Mode: Any}) })
	}
	_, to := communities(b, "p256", "p256")
	for name, o := range ways() {
		b.Run(name, func(b *testing.B) { benchSeal(b, to, o) })
	}
}

func benchSeal(b *testing.B, to []Recipient, o SealOptions) {
	for b.Loop() {
		b.ReportMetric(float64(len(seal(b, to, o))), "bytes")
	}
}

// BenchmarkOpen opens what is sealed to one certificate of each kind.
func BenchmarkOpen(b *testing.B) {
	for _, kind := range []string{"p256", "p384", "rsa"} {
		all, to := communities(b, kind)
		for _, pq := range []bool{false, true} {
			envelope := seal(b, to, SealOptions{Mode: Any, PostQuantum: pq})
			b.Run(fmt.Sprintf("%s, post-quantum %v", kind, pq), func(b *testing.B) {
				for b.Loop() {
					if _, err := Open(envelope, all[0].open(), binding()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
