package client

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
)

// writeMessages writes messages as Connect does.
func writeMessages(w io.WriteCloser, messages [][]byte) {
	for _, m := range messages {
		w.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))))
		w.Write(m)
	}
	w.Close()
}

// "Here one Read gives both": else a message costs two frames, two records and
// two system calls.
func TestAMessageAndItsPrefixLeaveTogether(t *testing.T) {
	r, w := io.Pipe()
	messages := [][]byte{[]byte("one"), bytes.Repeat([]byte("x"), 1000), []byte("three")}
	go writeMessages(w, messages)
	body := &wholeMessages{ReadCloser: r}
	buf := make([]byte, 16<<10)
	for i, m := range messages {
		n, err := body.Read(buf)
		if err != nil || !bytes.Equal(buf[prefixSize:n], m) {
			t.Fatalf("read %d gives %q, %v, want message %q", i, buf[:n], err, m)
		}
	}
	if n, err := body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("the end is %d, %v", n, err)
	}
}

func TestABodyKeepsItsBytesWhateverIsReadAtATime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		messages := make([][]byte, 20)
		var want bytes.Buffer
		for i := range messages {
			messages[i] = bytes.Repeat([]byte{byte(i)}, random.IntN(40)*random.IntN(40))
			want.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(messages[i]))))
			want.Write(messages[i])
		}
		r, w := io.Pipe()
		go writeMessages(w, messages)
		body := &wholeMessages{ReadCloser: r}
		var got bytes.Buffer
		for {
			b := make([]byte, 1+random.IntN(50))
			n, err := body.Read(b)
			got.Write(b[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatal("the body has changed")
		}
	}
}
