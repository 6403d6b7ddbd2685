package swarm

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// drain has so many takers pass portions for a while of the test's clock, and
// gives what each got.
func drain(b *bucket, takers int, d time.Duration) []int64 {
	stop := make(chan struct{})
	got := make([]atomic.Int64, takers)
	var wg sync.WaitGroup
	for i := range takers {
		wg.Go(func() {
			for {
				n := b.portion()
				if !b.take(n, false, stop) {
					return
				}
				got[i].Add(int64(n))
			}
		})
	}
	time.Sleep(d)
	close(stop)
	wg.Wait()
	out := make([]int64, takers)
	for i := range got {
		out[i] = got[i].Load()
	}
	return out
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

// In every second there is what the rate says, within four per cent, and everybody
// gets the same, within what is saved up at the start.
func TestBucketHoldsItsRateAndIsFair(t *testing.T) {
	t.Parallel()
	for _, rate := range []int64{MinRate, 100_000, 1 << 20, 50_000_000} {
		synctest.Test(t, func(t *testing.T) {
			var b bucket
			b.setRate(rate)
			time.Sleep(time.Minute) // unused time is not saved up
			for second := range 5 {
				got := drain(&b, 7, time.Second)
				portion := int64(b.portion())
				if all := sum(got); all > rate*104/100+portion || all < rate*96/100-7*portion {
					t.Errorf("rate %d: %d bytes in second %d", rate, all, second)
				}
				for i, n := range got {
					if saved := max(rate/50, portion); n < got[0]-saved-2*portion || n > got[0]+saved+2*portion {
						t.Errorf("rate %d: taker %d got %d, the first %d", rate, i, n, got[0])
					}
				}
			}
		})
	}
}

func TestBucketWithoutRateLetsAllPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		began := time.Now()
		for range 1000 {
			if !b.take(1<<20, false, nil) || b.portion() != 0 {
				t.Fatal("it has a limit")
			}
		}
		b.charge(1 << 40)
		if time.Since(began) > 0 {
			t.Error("it waited")
		}
	})
}

// Who waits feels a change at once, both ways.
func TestBucketChangesWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		b.setRate(MinRate)
		b.take(MinRate*100, false, nil) // the next one waits for 100 seconds
		began := time.Now()
		done := make(chan struct{})
		go func() {
			b.take(1000, false, nil)
			close(done)
		}()
		synctest.Wait()
		b.setRate(MinRate * 4)
		<-done
		if d := time.Since(began); d < 99*time.Second || d > 101*time.Second {
			t.Errorf("a debt of 100 seconds took %v", d)
		}

		b.take(MinRate*1000, false, nil)
		var released atomic.Int64
		for range 3 {
			go func() {
				b.take(1000, false, nil)
				released.Add(1)
			}()
		}
		synctest.Wait()
		if released.Load() != 0 {
			t.Fatal("they did not wait")
		}
		b.setRate(0)
		synctest.Wait()
		if released.Load() != 3 {
			t.Errorf("%d of 3 go on without a limit", released.Load())
		}
	})
}

// A rate that falls holds from then on, also for those who wait already.
func TestBucketSlowsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		b.setRate(10_000_000)
		fast := sum(drain(&b, 3, time.Second))
		b.setRate(1_000_000)
		slow := sum(drain(&b, 3, time.Second))
		if ratio := float64(fast) / float64(slow); ratio < 9 || ratio > 11 {
			t.Errorf("%d, then %d bytes", fast, slow)
		}
	})
}

func TestBucketForgetsWhoLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		b.setRate(1 << 20)
		b.take(1<<20, false, nil)
		stop := make(chan struct{})
		left := make(chan bool)
		for range 5 {
			go func() { left <- b.take(1<<30, false, stop) }()
		}
		synctest.Wait()
		close(stop)
		for range 5 {
			if <-left {
				t.Error("one passed")
			}
		}
		began := time.Now()
		b.take(1000, false, nil)
		if d := time.Since(began); d > 1100*time.Millisecond {
			t.Errorf("what nobody takes any more cost %v", d)
		}
	})
}

// Small messages do not wait behind blocks, and a flood of them holds nobody up.
func TestSmallMessagesGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 1 << 20
		var b bucket
		b.setRate(rate)
		stop := make(chan struct{})
		var blocks, small atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for b.take(b.portion(), false, stop) {
					blocks.Add(int64(b.portion()))
				}
			})
		}
		for range 100 { // now and then
			time.Sleep(10 * time.Millisecond)
			began := time.Now()
			b.take(100, true, stop)
			if d := time.Since(began); d > 0 {
				t.Errorf("a small message waited for %v", d)
			}
		}
		blocks.Store(0)
		for range 4 { // without an end
			wg.Go(func() {
				for b.take(smallWrite, true, stop) {
					small.Add(smallWrite)
				}
			})
		}
		time.Sleep(10 * time.Second)
		close(stop)
		wg.Wait()
		all, most := blocks.Load()+small.Load(), int64(10*rate*104/100)
		if all > most || blocks.Load() < 10*rate/3 {
			t.Errorf("%d bytes of blocks and %d of small messages in ten seconds", blocks.Load(), small.Load())
		}
	})
}

// What was not asked for beforehand is made up for, within reason.
func TestCharge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		b.setRate(1 << 20)
		for charge, want := range map[int64]time.Duration{1 << 20: time.Second, 1 << 40: debtOf} {
			began := time.Now()
			b.charge(charge)
			b.take(1, false, nil)
			if d := time.Since(began); d < want-burstOf || d > want+burstOf {
				t.Errorf("%d bytes cost %v, want %v", charge, d, want)
			}
		}
	})
}
