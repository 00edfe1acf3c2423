package store

// The ends of launches that a run's budget knows.
const (
	LaunchLost        = "lost"          // it had been ready
	LaunchLostOnTrial = "lost on trial" // with records that are suspected of ending servers
)

// Launch is a prediction server that was, or was going to be, started.
type Launch struct {
	ID        string
	Run       string
	UID       string // of the job
	Price     string // an hour of it, as the job said when it was launched
	Epoch     int64
	PID       int
	StartTime string // as the operating system tells it, to tell a reused pid
}

// InsertLaunch records the intent to start a prediction server.
func (t *Tx) InsertLaunch(l Launch) error {
	err := t.one(`UPDATE runs SET launches = launches + 1 WHERE id = $1`, l.Run)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO launches (id, run_id, uid, price, epoch, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		l.ID, l.Run, l.UID, l.Price, t.w.epoch, nanos(t.Now))
}

// RecordLaunch notes the process that a launch became.
func (t *Tx) RecordLaunch(id string, pid int, startTime string) error {
	return t.one(`UPDATE launches SET pid = $1, start_time = $2 WHERE id = $3`, pid, startTime, id)
}

// EndLaunch notes how a prediction server ended.
func (t *Tx) EndLaunch(id, outcome string) error {
	return t.one(`UPDATE launches SET ended_at = $1, outcome = $2 WHERE id = $3`, nanos(t.Now), outcome, id)
}

// closeOldLaunches marks the launches of earlier epochs as ended. Servers end
// with their runner, and the last that is known of it is what it wrote about the
// run: the time until now would be the length of an outage.
func (t *Tx) closeOldLaunches() error {
	return t.exec(`UPDATE launches SET outcome = 'the runner ended', ended_at = MIN($1, MAX(created_at,
			COALESCE((SELECT MAX(at) FROM events AS e WHERE e.uid = launches.uid AND e.run_id = launches.run_id), 0),
			COALESCE((SELECT MAX(ended_at) FROM attempts AS a WHERE a.run_id = launches.run_id), 0)))
		WHERE ended_at = 0 AND epoch < $2`, nanos(t.Now), t.w.epoch)
}

// CountLoss notes that a run attempt has lost a ready server. The count stands
// in the attempt's row, so that a restart of the runner gives none back.
func (t *Tx) CountLoss(run string, attempt int64) error {
	return t.one(`UPDATE run_attempts SET losses = losses + 1 WHERE run_id = $1 AND attempt = $2`, run, attempt)
}

// Losses is how many ready servers a run attempt has lost, and whether any of
// its unfinished mini-batches is suspected of it.
func (t *Tx) Losses(run string, attempt int64) (losses int64, suspects bool, err error) {
	if err := t.row(`SELECT COALESCE(MAX(losses), 0) FROM run_attempts WHERE run_id = $1 AND attempt = $2`, run, attempt)(&losses); err != nil {
		return 0, false, err
	}
	err = t.row(`SELECT EXISTS (SELECT 1 FROM mini_batches WHERE run_id = $1 AND (losses >= 2 OR timeouts >= 2)
		AND state IN ('pending', 'running', 'retry_wait'))`, run)(&suspects)
	return losses, suspects, err
}

// Fingerprint gives the document that identifies the model of a run, and
// whether it binds: something was predicted with it. Empty: none is known.
func (t *Tx) Fingerprint(run string) (document string, binds bool, err error) {
	err = t.row(`SELECT fingerprint, EXISTS (SELECT 1 FROM mini_batches WHERE run_id = $1 AND (state IN ('staged', 'committed') OR redrive = 1))
		FROM plans WHERE run_id = $1`, run)(&document, &binds)
	return document, binds, err
}

// SetFingerprint stores what identifies the model of a run: a document with an
// id.
func (t *Tx) SetFingerprint(run, document string) error {
	return t.one(`UPDATE plans SET fingerprint = $1 WHERE run_id = $2`, document, run)
}
