-- UNTESTED: written from Citus' documentation, and not yet run on a cluster. `cargo xtask sql-portable` checks the statements against
-- what Citus and YugabyteDB are known to refuse; that is less than a run.
--
-- Spreads an operator's tables over the workers of a Citus cluster (12 or later). Run it once, as the owner of the tables, right after
-- `counterfoil operator init --database postgres://…` has made them, while they are nearly empty:
--
--     psql "$COUNTERFOIL_DATABASE" --set ON_ERROR_STOP=1 --file deploy/citus.sql
--
-- Every primary key leads with `bucket`, the distribution column. All tables are in one group, so that rows of one bucket are on one
-- worker, and a statement about one bucket is carried out there as it stands. 64 shards hold the 64 buckets as Postgres' hash of the
-- bucket spreads them: some shards get two, some none. How many a worker gets is `citus_rebalance_start()`'s business.

begin;
set citus.shard_count = 64;

select create_distributed_table('wallet', 'bucket', colocate_with => 'none');
select create_distributed_table('setting', 'bucket', colocate_with => 'wallet');
select create_distributed_table('psp', 'bucket', colocate_with => 'wallet');
select create_distributed_table('issuer', 'bucket', colocate_with => 'wallet');
select create_distributed_table('certificate', 'bucket', colocate_with => 'wallet');
select create_distributed_table('record', 'bucket', colocate_with => 'wallet');
select create_distributed_table('open_payment', 'bucket', colocate_with => 'wallet');
select create_distributed_table('forked_payment', 'bucket', colocate_with => 'wallet');
select create_distributed_table('ledger', 'bucket', colocate_with => 'wallet');
select create_distributed_table('statement', 'bucket', colocate_with => 'wallet');
select create_distributed_table('fund_order', 'bucket', colocate_with => 'wallet');
select create_distributed_table('rail_move', 'bucket', colocate_with => 'wallet');
select create_distributed_table('misconduct', 'bucket', colocate_with => 'wallet');
select create_distributed_table('revocation', 'bucket', colocate_with => 'wallet');
select create_distributed_table('published', 'bucket', colocate_with => 'wallet');
select create_distributed_table('idempotency', 'bucket', colocate_with => 'wallet');
select create_distributed_table('activation', 'bucket', colocate_with => 'wallet');
select create_distributed_table('image', 'bucket', colocate_with => 'wallet');
select create_distributed_table('tally', 'bucket', colocate_with => 'wallet');
select create_distributed_table('outbox', 'bucket', colocate_with => 'wallet');
select create_distributed_table('delivery', 'bucket', colocate_with => 'wallet');
commit;

-- `migration` stays a local table of the coordinator.
