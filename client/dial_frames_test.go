package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	devicev1 "parley/api/device/v1"
)

// "What is sent when the last frame is older leaves at once; what a busy device
// sends faster than that leaves together."
func TestFramesLeaveAtOnceOrTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		var left []time.Duration
		start := time.Now()
		f := frames{write: func(req *devicev1.SubmitStreamRequest) error {
			sizes, left = append(sizes, len(req.Submissions)), append(left, time.Since(start))
			return nil
		}}
		send := func(n int) {
			t.Helper()
			if err := f.send(make([]*devicev1.Submission, n)); err != nil {
				t.Fatal(err)
			}
		}
		send(1) // at once
		send(1) // these two wait for each other
		time.Sleep(time.Millisecond)
		send(1)
		time.Sleep(frameGap)
		synctest.Wait()
		time.Sleep(time.Minute)
		send(1)         // at once
		send(fullFrame) // enough for a frame
		send(1)
		if err := f.end(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []int{1, 2, 1, fullFrame, 1}
		if len(sizes) != len(want) {
			t.Fatalf("frames of %d, want %d", sizes, want)
		}
		for i, n := range want {
			if sizes[i] != n {
				t.Errorf("frame %d has %d submissions, want %d", i, sizes[i], n)
			}
		}
		if left[0] != 0 || left[1] != frameGap {
			t.Errorf("frames left after %v", left)
		}
	})
}

// A device has to learn that what it sent did not leave, although the frame
// left after send had returned.
func TestAFrameThatDidNotLeaveIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, calls := errors.New("broken"), 0
		f := frames{write: func(*devicev1.SubmitStreamRequest) error {
			if calls++; calls > 1 {
				return broken
			}
			return nil
		}}
		for range 2 {
			if err := f.send(make([]*devicev1.Submission, 1)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(frameGap)
		synctest.Wait()
		for range 2 {
			if err := f.send(make([]*devicev1.Submission, 1)); !errors.Is(err, broken) {
				t.Fatalf("send: %v", err)
			}
		}
		if err := f.end(); !errors.Is(err, broken) || calls != 2 {
			t.Fatalf("end: %v after %d frames", err, calls)
		}
	})
}
