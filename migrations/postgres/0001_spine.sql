-- The event log of a cluster, its keys, and what projections have parked. PostgreSQL 15 or newer.

-- Who may do what. A role belongs to the whole server: another database, migrated at this very moment, may be making it too.
-- Whoever migrates may act as either of them.
DO $$
DECLARE name text; again int := 0;
BEGIN
  FOREACH name IN ARRAY ARRAY['cocotalk_app', 'cocotalk_audit'] LOOP
    LOOP
      BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
          EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
        IF NOT pg_has_role(CURRENT_USER, name, 'USAGE') THEN
          EXECUTE format('GRANT %I TO CURRENT_USER', name);
        END IF;
        EXIT;
      EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error OR undefined_object THEN
        -- `internal_error` is "tuple concurrently updated". The other one is done when the next look is taken.
        again := again + 1;
        IF again > 100 THEN
          RAISE;
        END IF;
      END;
    END LOOP;
  END LOOP;
END $$;

-- The newest position of each slice. Locked by whoever appends, so that positions are handed out in commit order.
CREATE TABLE slice_head (
  slice   smallint PRIMARY KEY,
  pos     bigint NOT NULL DEFAULT 0,
  last_us bigint NOT NULL DEFAULT 0          -- of its newest event, microseconds since the epoch
) WITH (fillfactor = 10);                    -- room for new versions of a row beside the old one
INSERT INTO slice_head (slice) SELECT g FROM generate_series(0, 63) g;

CREATE TABLE events (
  aggregate_type text   NOT NULL,
  aggregate_id   text   NOT NULL,
  sequence       bigint NOT NULL CHECK (sequence > 0),
  event_type     text   NOT NULL,
  event_version  text   NOT NULL,
  payload        json   NOT NULL,            -- json, not jsonb: byte-exact, because it is hashed
  metadata       json   NOT NULL,            -- an object of string -> string
  slice          smallint NOT NULL,          -- sha256(slice key)[0] & 63, computed by the application
  slice_pos      bigint NOT NULL,            -- gapless per slice, in commit order
  ts_us          bigint NOT NULL,            -- strictly rising per slice, microseconds since the epoch
  subject        uuid,                       -- the message an event is about
  actor          uuid,                       -- on the first event of a command only: who, ...
  command_id     uuid,                       --   ... the idempotency key,
  request_mac    bytea,                      --   ... the fingerprint of the request,
  answer         json,                       --   ... and what was answered (ids and numbers only)
  content_hash   bytea NOT NULL,             -- sha256 of every column but slice, slice_pos and ts_us
  PRIMARY KEY (aggregate_type, aggregate_id, sequence),
  CHECK (command_id IS NULL OR actor IS NOT NULL)
);
CREATE UNIQUE INDEX events_slice   ON events (slice, slice_pos);
CREATE UNIQUE INDEX events_command ON events (actor, command_id) WHERE command_id IS NOT NULL;
CREATE INDEX        events_subject ON events (subject, sequence) WHERE subject IS NOT NULL;

-- Many units in one round trip. A run is consecutive new events of one aggregate, or none: then it only demands that the
-- aggregate has not moved. A unit is one or more runs that commit whole or not at all; a unit that loses is left out, the
-- others commit. Called as one autocommit statement, so that the locks never wait for a client.
--
-- Units of one call must not meet: of an aggregate that one of them writes there is no other run in the call, and no key
-- comes twice. Whoever calls sees to that.
--
-- Plans are made once per connection and must be good for a log of any size, also when they were made while it was empty:
-- hence the settings, and hence subqueries with LIMIT where a join could be turned into reading a whole index.
CREATE FUNCTION append_batch(
  ru int[], rs smallint[], ra text[], ri text[], rf bigint[], rn int[],             -- per run: unit, slice, type, id, first sequence, number of events
  g int[], k int[], et text[], ev text[], p text[], m text[], sb uuid[], h bytea[], -- per event: run (1..), offset in it (0..), ...
  ea uuid[], ec uuid[], er bytea[], ej text[])                                      -- per event: actor, key, fingerprint, answer; null but on a command's first
RETURNS TABLE (run int, outcome text, first_pos bigint)                             -- ok | conflict | repeated
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE bad int[]; dup int[]; fp bigint[]; fu bigint[]; now_us bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append_batch needs READ COMMITTED: what was committed while it waited for the locks must be seen';
  END IF;
  -- 1. Lock the slices in one fixed order, held until commit.
  PERFORM 1 FROM slice_head s WHERE s.slice = ANY(rs) ORDER BY s.slice FOR UPDATE;
  -- 2. A new statement sees what was committed meanwhile: the heads of the aggregates, one index probe each, and the commands
  --    that were carried out before.
  SELECT COALESCE(array_agg(DISTINCT z.u), '{}') INTO bad FROM unnest(ru, ra, ri, rf) z(u, a, i, f)
   WHERE z.f <> 1 + COALESCE((SELECT x.sequence FROM events x WHERE x.aggregate_type = z.a AND x.aggregate_id = z.i
                              ORDER BY x.sequence DESC LIMIT 1), 0);
  SELECT COALESCE(array_agg(DISTINCT ru[z.g]), '{}') INTO dup FROM unnest(g, ea, ec) z(g, a, c)
   WHERE z.c IS NOT NULL AND (SELECT true FROM events w WHERE w.actor = z.a AND w.command_id = z.c LIMIT 1);
  bad := bad || dup;
  -- 3. Only winners advance the heads, so that a conflict leaves no hole. 0 stands for a run that writes nothing.
  now_us := (extract(epoch FROM clock_timestamp()) * 1e6)::bigint;
  WITH r AS (SELECT o, s, CASE WHEN u = ANY(bad) THEN 0 ELSE n END AS n FROM unnest(ru, rs, rn) WITH ORDINALITY z(u, s, n, o)),
  q AS (SELECT o, s, n, sum(n) OVER (PARTITION BY s ORDER BY o) - n AS off FROM r),
  t AS (SELECT s, sum(n) AS n FROM r GROUP BY s),
  adv AS (UPDATE slice_head sh SET pos = sh.pos + t.n, last_us = GREATEST(sh.last_us, now_us) + t.n
      FROM t WHERE sh.slice = t.s AND t.n > 0
      RETURNING sh.slice, sh.pos - t.n AS bp, sh.last_us - t.n AS bu)
  SELECT array_agg(CASE WHEN q.n > 0 THEN bp + off + 1 ELSE 0 END ORDER BY o),
         array_agg(CASE WHEN q.n > 0 THEN bu + off + 1 ELSE 0 END ORDER BY o)
    INTO fp, fu FROM q LEFT JOIN adv ON adv.slice = q.s;
  -- 4. One insert for all.
  INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, slice, slice_pos, ts_us,
                      subject, actor, command_id, request_mac, answer, content_hash)
  SELECT ra[u.g], ri[u.g], rf[u.g] + u.k, u.et, u.ev, u.p::json, u.m::json, rs[u.g], fp[u.g] + u.k, fu[u.g] + u.k,
         u.sb, u.ea, u.ec, u.er, u.ej::json, u.h
    FROM unnest(g, k, et, ev, p, m, sb, h, ea, ec, er, ej) u(g, k, et, ev, p, m, sb, h, ea, ec, er, ej)
   WHERE fp[u.g] > 0;
  RETURN QUERY SELECT o::int, CASE WHEN u = ANY(dup) THEN 'repeated' WHEN u = ANY(bad) THEN 'conflict' ELSE 'ok' END, p1
    FROM unnest(ru, fp) WITH ORDINALITY z(u, p1, o);
END $$;

-- States kept to save loading long streams from their beginning. Nothing depends on them.
CREATE TABLE snapshots (
  aggregate_type text NOT NULL,
  aggregate_id   text NOT NULL,
  state_version  int NOT NULL,
  sequence       bigint NOT NULL,
  state          bytea NOT NULL,
  PRIMARY KEY (aggregate_type, aggregate_id, state_version)
);

-- How far the relay has published, noted now and then; the bus itself knows better.
CREATE TABLE relay_progress (
  slice smallint PRIMARY KEY,
  pos   bigint NOT NULL
);

-- Events that a projection could not apply, and later ones of their aggregate, which wait in order.
CREATE TABLE parked (
  projection     text NOT NULL,
  version        int NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id   text NOT NULL,
  sequence       bigint NOT NULL,
  waits_with     text NOT NULL,               -- the aggregate: whatever has the same one waits together
  is_culprit     boolean NOT NULL,            -- to blame itself, and not only behind one that is
  slice          smallint NOT NULL,
  slice_pos      bigint NOT NULL,
  error          text NOT NULL,
  attempts       int NOT NULL DEFAULT 1,
  first_at       timestamptz NOT NULL DEFAULT now(),
  last_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, version, aggregate_type, aggregate_id, sequence)
);
CREATE INDEX parked_waiting ON parked (projection, version, slice, waits_with);

-- People's data keys, wrapped by the master key. A row without a key is a person whose key was destroyed: it stays, so that
-- no key of theirs is ever made again.
CREATE TABLE subject_keys (
  subject      uuid PRIMARY KEY,
  wrapped_key  bytea,
  created_at   timestamptz NOT NULL DEFAULT now(),
  destroyed_at timestamptz,
  CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL))
);
-- Secrets of the installation, wrapped by the master key.
CREATE TABLE secrets (
  name        text PRIMARY KEY,
  wrapped_key bytea NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);

-- The application reads and appends events. It never changes or removes one: it has not been given the right.
GRANT SELECT, INSERT ON events TO cocotalk_app;
GRANT SELECT, UPDATE ON slice_head TO cocotalk_app;
GRANT SELECT, INSERT, UPDATE ON snapshots, relay_progress, subject_keys, secrets TO cocotalk_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON parked TO cocotalk_app;
-- An auditor reads the log and no key.
GRANT SELECT ON events, slice_head, relay_progress, parked TO cocotalk_audit;
-- Both see which migrations were applied.
GRANT SELECT ON _sqlx_migrations TO cocotalk_app, cocotalk_audit;
