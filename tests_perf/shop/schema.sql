-- The shop: the source of the pipeline. Every row carries the run that wrote it, in the e-mail address or in
-- a column of its own.
CREATE TABLE IF NOT EXISTS customer (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS address (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    session_id text NOT NULL,
    type text NOT NULL,
    street text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    postal_code text NOT NULL,
    country text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    session_id text NOT NULL,
    status text NOT NULL,
    total_amount numeric(12, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- The sums of the Adder, numbered as they are written.
CREATE TABLE IF NOT EXISTS sums (
    sequence bigserial PRIMARY KEY,
    session_id text NOT NULL,
    x integer NOT NULL,
    y integer NOT NULL,
    sum integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
