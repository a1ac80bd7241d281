-- Conversations $2 to $3 with 8 messages each, of staff $4 or, if that is NULL, of one of 5,000 others, and of one of 50,000
-- portal users; their messages lie in the table as they would come, those of all conversations mixed.
INSERT INTO conversation
    (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence, participants, folded,
     symbols)
SELECT $1, id, 1, 'c-' || n, 'Patient ' || n, subject, at, at, 8, token($1, staff) || E'\n' || token($1, portal), heading,
       symbols(heading)
FROM (
    SELECT *, concat_ws(E'\n', 'guardian ' || word((n * 7919 % 200000)::integer) || ' ' || word((n * 104729 % 200000)::integer),
                        'nurse ' || staff, 'patient ' || n, subject) AS heading
    FROM (
        SELECT n, lpad(n::text, 32, '0')::uuid AS id, coalesce($4, 'staff/s-' || n % 5000) AS staff, 'portal/p-' || n % 50000 AS portal,
               word((64 + n * 31 % 4000)::integer) || ' ' || word((n * 17 % 200000)::integer) AS subject,
               timestamptz '2026-01-01' + random() * interval '300 days' AS at
        FROM generate_series($2::bigint, $3::bigint) n
    ) AS made
) AS named;
INSERT INTO participant
    (organization, conversation_id, person, display_name, last_read, unread, archived, last_message_at, revision)
SELECT c.organization, c.id, party.person, party.name, 8, 0, random() < 0.5, c.last_message_at, n
FROM generate_series($2::bigint, $3::bigint) n
JOIN conversation c ON c.organization = $1 AND c.id = lpad(n::text, 32, '0')::uuid
CROSS JOIN LATERAL (VALUES
    (coalesce($4, 'staff/s-' || n % 5000), 'Nurse ' || coalesce($4, 'staff/s-' || n % 5000)),
    ('portal/p-' || n % 50000, initcap('guardian ' || word((n * 7919 % 200000)::integer) || ' ' || word((n * 104729 % 200000)::integer)))
) AS party (person, name);
INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at, participants, folded, symbols)
SELECT $1, c.id, q, gen_random_uuid(), 'portal/p-' || n % 50000, body, c.last_message_at, c.participants, body, symbols(body)
FROM (SELECT n, q, some_words(n) AS body FROM generate_series(1, 8) q, generate_series($2::bigint, $3::bigint) n ORDER BY q, hashint8(n)) AS written
JOIN conversation c ON c.organization = $1 AND c.id = lpad(n::text, 32, '0')::uuid;
