package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-co-op/gocron/v2"
)

const (
	// tick is how often the calendar is read without any other cause. It heals
	// what alarms can't see: a suspended host, a clock step, a failed write.
	tick = 15 * time.Second
	// window is how far ahead alarms are set; it spans several ticks.
	window = 60 * time.Second
	// maxAlarms bounds the alarms set by one look; occurrences are whole
	// seconds, so a window has fewer instants.
	maxAlarms = 100
	// spareAlarm is a second time for each alarm, which is never reached: see
	// arm.
	spareAlarm = 24 * time.Hour
)

// alarm is the trigger's running half: one loop that does the work, and gocron
// that tells it when. gocron's tasks only ring; work in them would be at the
// mercy of its contexts, which end with updates and shutdown.
type alarm struct {
	t         *Trigger
	scheduler gocron.Scheduler
	rings     chan time.Time         // instants whose alarm went off
	armed     map[time.Time]struct{} // owned by the loop
	trouble   string                 // as logged; owned by the loop
	end       context.CancelFunc
	done      chan struct{} // closed when the loop has ended
}

func (t *Trigger) startAlarm() (*alarm, error) {
	scheduler, err := gocron.NewScheduler(gocron.WithLocation(time.UTC))
	if err != nil {
		return nil, fmt.Errorf("start the alarm clock: %w", err)
	}
	if _, err := scheduler.NewJob(gocron.DurationJob(tick), gocron.NewTask(t.lookAgain)); err != nil {
		return nil, errors.Join(fmt.Errorf("start the alarm clock: %w", err), scheduler.Shutdown())
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &alarm{
		t: t, scheduler: scheduler, end: cancel, done: make(chan struct{}),
		rings: make(chan time.Time, maxAlarms), armed: map[time.Time]struct{}{},
	}
	scheduler.Start()
	t.lookAgain()
	go a.loop(ctx)
	return a, nil
}

// stop ends the loop first: it may be waiting for the scheduler, never the
// other way round. After an error it may be called again.
func (a *alarm) stop(ctx context.Context) error {
	a.end()
	select {
	case <-a.done:
	case <-ctx.Done():
		return fmt.Errorf("stop the trigger: %w", ctx.Err())
	}
	if err := a.scheduler.Shutdown(); err != nil {
		return fmt.Errorf("stop the alarm clock: %w", err)
	}
	return nil
}

func (a *alarm) loop(ctx context.Context) {
	defer close(a.done)
	for {
		select {
		case <-ctx.Done():
			return
		case instant := <-a.rings:
			delete(a.armed, instant)
		case <-a.t.look:
		}
		if err := a.pass(ctx); err != nil && ctx.Err() == nil {
			a.t.log.Error("due jobs were not decided; the next try is in "+tick.String()+" at the latest", "error", err)
		}
	}
}

// pass decides what is due and sets the alarms of the window ahead. While the
// clock is not believed, it does nothing.
func (a *alarm) pass(ctx context.Context) error {
	trouble := a.t.Trouble()
	if trouble != a.trouble && trouble != "" {
		a.t.log.Error("nothing is decided", "error", trouble)
	}
	if a.trouble = trouble; trouble != "" {
		return nil
	}
	if err := a.t.noteLook(ctx); err != nil {
		return err
	}
	for {
		now := a.t.now()
		instants, err := a.t.store.DueInstants(now.Add(window), maxAlarms)
		if err != nil {
			return fmt.Errorf("read the calendar: %w", err)
		}
		if len(instants) == 0 || instants[0].After(now) {
			return a.arm(instants)
		}
		claimed, err := a.t.decideDue(ctx)
		if err != nil || claimed == 0 {
			return err
		}
	}
}

// arm sets one alarm for each instant that has none. Instants are the
// trigger's time; the scheduler has a clock of its own, so only the distance
// counts.
//
// gocron spins for ever on a start time that passes while the job is being
// added; the spare time, which comes into play only then, keeps it from that.
// The late look at the end covers the instant.
func (a *alarm) arm(instants []time.Time) error {
	now, late := a.t.now(), false
	maps.DeleteFunc(a.armed, func(instant time.Time, _ struct{}) bool { return !instant.After(now) })
	for _, instant := range instants {
		if _, ok := a.armed[instant]; ok {
			continue
		}
		start := time.Now().Add(instant.Sub(a.t.now()))
		_, err := a.scheduler.NewJob(
			gocron.OneTimeJob(gocron.OneTimeJobStartDateTimes(start, start.Add(spareAlarm))),
			gocron.NewTask(a.ring, instant),
			gocron.WithLimitedRuns(1),
		)
		if err != nil {
			return fmt.Errorf("set an alarm for %s: %w", instant.Format(time.RFC3339), err)
		}
		a.armed[instant] = struct{}{}
		late = late || !instant.After(a.t.now())
	}
	if late {
		a.t.lookAgain()
	}
	return nil
}

// ring hands a due instant to the loop. Should the loop be that far behind, it
// is about to look anyway.
func (a *alarm) ring(instant time.Time) {
	select {
	case a.rings <- instant:
	default:
		a.t.lookAgain()
	}
}
