-- What became of the call that used a grant, told after its ticket is forgotten: a card that says "nobody knows" for a call
-- that ended well teaches people to overlook the one that did not.
--
-- Placeholders and app_role markers: see 0001_audit.sql. Rules: see 0002_presence.sql.

-- Null while the ticket says it, and for what was forgotten before this column was there.
ALTER TABLE {{schema}}.governance_gates ADD COLUMN outcome text CHECK (outcome IN ('completed', 'not_run', 'unknown'));

CREATE INDEX governance_gates_ticket ON {{schema}}.governance_gates (root, ticket) WHERE ticket IS NOT NULL;

CREATE OR REPLACE FUNCTION {{schema}}.governance_forget(p_root text, p_tickets uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before timestamptz := {{schema}}.governance_now() - interval '24 hours';
  v_gone   bigint;
BEGIN
  -- An outcome that comes late waits for the tree, so what is copied here is what is deleted below.
  PERFORM 1 FROM {{schema}}.governance_trees t WHERE t.root = p_root FOR NO KEY UPDATE;
  UPDATE {{schema}}.governance_gates g
     SET outcome = CASE t.state WHEN 'orphaned' THEN 'unknown' WHEN 'released' THEN 'not_run' ELSE 'completed' END
    FROM {{schema}}.governance_tickets t
   WHERE g.root = p_root AND g.ticket = ANY (p_tickets)
     AND t.root = p_root AND t.ticket = g.ticket AND t.settled_at <= v_before;
  DELETE FROM {{schema}}.governance_tickets t
   WHERE t.root = p_root AND t.ticket = ANY (p_tickets) AND t.settled_at <= v_before;
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  DELETE FROM {{schema}}.governance_cost_tracked c WHERE c.root = p_root AND c.at <= v_before;
  RETURN v_gone;
END $$;
