package launch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
)

// tree is a set of processes that belong together: those that carry the id of
// one or more launches, the groups of those, and the descendants of all.
type tree struct {
	launched func(id string) bool
	group    int            // that of the launch; 0 for several launches
	seen     map[int]string // whoever belonged once belongs for ever: number → start time
}

func newTree(p *Process) *tree {
	return &tree{
		launched: func(id string) bool { return id == p.id },
		group:    p.PID(),
		seen:     map[int]string{p.PID(): p.StartTime()},
	}
}

// living gives the tree's processes that have not ended. A zombie has: it waits
// for its parent, which may never come.
func (t *tree) living() ([]process, error) {
	table, err := readTable()
	if err != nil {
		return nil, err
	}
	var living []process
	for pid := range t.members(table) {
		if !table[pid].zombie {
			living = append(living, table[pid])
		}
	}
	return living, nil
}

func (t *tree) groupLives() bool {
	living, err := t.living()
	return err == nil && slices.ContainsFunc(living, func(q process) bool { return q.group == t.group })
}

// members finds the tree's processes in the table, and remembers them.
//
// Anybody on the host can put a launch id into the environment of a process of
// their own; that must not take other people's processes with it. So groups and
// descendants are followed from processes of our own user only.
func (t *tree) members(table table) map[int]bool {
	members, followed, groups := map[int]bool{}, map[int]bool{}, map[int]bool{}
	if leader, found := table[t.group]; !found || leader.start == t.seen[t.group] {
		groups[t.group] = true // otherwise the number went to another process, which proves the group empty
	}
	delete(groups, 0)
	// Never ourselves or what we stand on, should the runner itself be a
	// descendant of a prediction server.
	spared := table.withAncestors(os.Getpid())
	for grown := true; grown; {
		grown = false
		for pid, q := range table {
			belongs := t.launched(q.launch) || t.seen[pid] == q.start || groups[q.group] || followed[q.parent]
			if !belongs || members[pid] || spared[pid] {
				continue
			}
			grown = true
			members[pid] = true
			t.seen[pid] = q.start
			if q.owned || pid == t.group {
				followed[pid] = true
				if q.group != syscall.Getpgrp() {
					groups[q.group] = true
				}
			}
		}
	}
	return members
}

// kill kills until nothing of the tree is left, since a process can fork while
// the table is read. It gives the numbers of the killed, sorted.
func (t *tree) kill(ctx context.Context) ([]int, error) {
	killed, refused := map[int]bool{}, map[int]error{}
	for {
		living, err := t.living()
		if err != nil {
			return slices.Sorted(maps.Keys(killed)), err
		}
		var left []int
		for _, q := range living {
			if refused[q.pid] != nil {
				continue
			}
			if err := q.kill(); err != nil {
				refused[q.pid] = fmt.Errorf("kill process %d: %w", q.pid, err)
				continue
			}
			killed[q.pid] = true
			left = append(left, q.pid)
		}
		switch {
		case len(left) == 0:
			return slices.Sorted(maps.Keys(killed)), errors.Join(slices.Collect(maps.Values(refused))...)
		case !pause(ctx):
			return slices.Sorted(maps.Keys(killed)), fmt.Errorf("processes %v do not end after SIGKILL: %w", left, ctx.Err())
		}
	}
}
