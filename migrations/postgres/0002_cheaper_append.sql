-- Appending, cheaper: names of streams are compared byte by byte, and the probe of a stream's head reads one entry of the index.
--
-- The order of the letters of any language is of no use for types and ids. The change of a collation rebuilds the primary key, and
-- until that is done nobody reads or appends events.
ALTER TABLE events
  ALTER COLUMN aggregate_type TYPE text COLLATE "C",
  ALTER COLUMN aggregate_id   TYPE text COLLATE "C";

-- Many units in one round trip. A run is consecutive new events of one aggregate, or none: then it only demands that the
-- aggregate has not moved. A unit is one or more runs that commit whole or not at all; a unit that loses is left out, the
-- others commit. Called as one autocommit statement, so that the locks never wait for a client.
--
-- Units of one call must not meet: of an aggregate that one of them writes there is no other run in the call, and no key
-- comes twice. Whoever calls sees to that.
--
-- Plans are made once per connection and must be good for a log of any size, also when they were made while it was empty:
-- hence the settings, and hence subqueries with LIMIT where a join could be turned into reading a whole index.
CREATE OR REPLACE FUNCTION append_batch(
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
  --    that were carried out before. The probe looks no further back than the caller is: without that bound it reads every
  --    entry that the aggregate has in the leaf of the tree.
  SELECT COALESCE(array_agg(DISTINCT z.u), '{}') INTO bad FROM unnest(ru, ra, ri, rf) z(u, a, i, f)
   WHERE z.f <> 1 + COALESCE((SELECT x.sequence FROM events x WHERE x.aggregate_type = z.a AND x.aggregate_id = z.i AND x.sequence >= z.f - 1
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
