-- Words of one to three of 64 pieces; the first 64 are the commonest.
CREATE FUNCTION word(n integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT piece[n % 64 + 1] || CASE WHEN n >= 64 THEN piece[n / 64 % 64 + 1] ELSE '' END
        || CASE WHEN n >= 4096 THEN piece[n / 4096 % 64 + 1] ELSE '' END
    FROM (SELECT string_to_array('the,and,ing,ion,tio,ent,for,nat,ter,her,ate,ver,all,eth,hes,his,oft,ith,fth,sth,oth,res,ont,'
        'dth,are,rea,ear,was,sin,sto,tth,int,ted,ons,edt,wit,con,pro,est,com,per,tra,sta,ant,our,men,ist,eve,ell,one,out,rat,'
        'cou,ple,mon,day,ure,ick,ook,ang,olm,urg,emb,yst', ',') AS piece) AS pieces
$$;
-- The n-th commonest word is n times as rare as the first; the parameter is only there to have a new one for each row.
CREATE FUNCTION some_words(row_number bigint) RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT string_agg(word(exp(random() * 12.4)::integer - 1 + (0 * k + 0 * row_number)::integer), ' ')
        || CASE WHEN random() < 0.001 THEN ' 💊💉🩹' WHEN random() < 0.001 THEN ' (!?)' ELSE '' END
    FROM generate_series(1, 8 + (random() * 40)::integer) k
$$;
-- What the service stores beside a folded text: every three characters with a symbol, each after a line break.
CREATE FUNCTION symbols(folded text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN folded !~ '[^[:alnum:] \n]' THEN '' ELSE (
        SELECT coalesce(string_agg(DISTINCT E'\n' || three, ''), '')
        FROM (SELECT substr(folded, place, 3) AS three FROM generate_series(1, length(folded) - 2) place) AS all_threes
        WHERE three ~ '[^[:alnum:] ]' AND three !~ '\n'
    ) END
$$;
