//! What a distributed PostgreSQL refuses, looked for in every statement: `cargo xtask sql-portable`.
//!
//! Citus and YugabyteDB spread rows over machines by the first column of their keys. They do not take a unique index without that
//! column, a foreign key to another one, triggers, `merge`, functions in a change whose outcome differs between machines, locks on rows of
//! several machines, and a subquery among the columns of a result.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement, visit_expressions};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::migrations::MIGRATIONS;
use super::table::TABLES;
use super::{postgres, queries};

/// Queries that are about all buckets: the scheme's lists, the jobs' searches for what is due, an audit, a report, and one wallet's incoming payments.
const OF_ALL_BUCKETS: [&str; 16] = [
    queries::WALLETS,
    queries::OVERDUE,
    queries::UNLISTED,
    queries::CLOSED_WITH_REST,
    queries::IN_FLIGHT,
    queries::RECORDS,
    queries::OPEN_BY_BITS,
    queries::OPEN_IDS,
    queries::FORKED_IDS,
    queries::POSTINGS,
    queries::CASES,
    queries::TALLIES,
    queries::FEW_WALLETS,
    queries::PENDING_ORDERS,
    queries::PENDING_MOVES,
    queries::REVOCATIONS,
];

/// What stands in the way of a statement; nothing if it is portable.
fn complaints(sql: &str) -> Vec<String> {
    let parsed = match Parser::parse_sql(&PostgreSqlDialect {}, sql) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("it cannot be read: {error}")],
    };
    parsed.iter().flat_map(of_statement).collect()
}

fn of_statement(statement: &Statement) -> Vec<String> {
    let text = statement.to_string().to_lowercase();
    let mut found = Vec::new();
    let mut claim = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    match statement {
        Statement::Query(query) => {
            claim(query.locks.is_empty(), "it locks rows");
            claim(!has_subquery_in_columns(&query.body), "a subquery is among its columns");
        }
        Statement::Insert(_) | Statement::AlterTable(_) => {}
        Statement::Update(_) | Statement::Delete(_) => {
            claim(text.contains("bucket = "), "it changes rows of more than one bucket");
        }
        Statement::CreateTable(_) => {
            claim(text.contains("primary key (bucket, "), "its key does not lead with the bucket");
            claim(!text.contains("references") && !text.contains("foreign key"), "it has a foreign key");
            claim(!text.contains(" unique"), "it has a unique column");
        }
        Statement::CreateIndex(index) => {
            claim(!index.unique || text.contains("(bucket"), "it is unique without the bucket");
        }
        _ => claim(false, "it is of a kind that is not known to work"),
    }
    if matches!(statement, Statement::Update(_) | Statement::Delete(_) | Statement::Insert(_)) {
        claim(!calls_a_function(statement), "a function is called in a change");
    }
    found
}

fn has_subquery_in_columns(body: &SetExpr) -> bool {
    let SetExpr::Select(select) = body else { return false };
    select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::UnnamedExpr(Expr::Subquery(_))
                | SelectItem::ExprWithAlias { expr: Expr::Subquery(_), .. }
        )
    })
}

fn calls_a_function(statement: &Statement) -> bool {
    let call = |expression: &Expr| match expression {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(statement, call).is_break()
}

#[test]
fn every_statement_is_one_that_a_distributed_postgres_takes() {
    let mut found = Vec::new();
    let mut look = |sql: &str| found.extend(complaints(sql).into_iter().map(|what| format!("{what}: {sql}")));
    for migration in MIGRATIONS {
        migration.sql.split(";\n").filter(|sql| !sql.trim().is_empty()).for_each(&mut look);
    }
    for (query, _) in queries::ALL {
        look(&postgres::plain(query));
    }
    for table in TABLES {
        look(&postgres::insert(table));
    }
    assert_eq!(found, Vec::<String>::new());
    for (query, _) in queries::ALL {
        let of_one = query.contains("bucket = $") || *query == queries::REVOKED_CERTIFICATES;
        assert!(of_one != OF_ALL_BUCKETS.contains(query), "{query}");
    }
}

#[test]
fn what_a_distributed_postgres_refuses_is_found() {
    for refused in [
        "create table a (bucket bigint, id bytea, primary key (id, bucket))",
        "create table a (bucket bigint, id bytea unique, primary key (bucket, id))",
        "create table a (bucket bigint, id bytea references b (id), primary key (bucket, id))",
        "create unique index i on a (id)",
        "create trigger t before insert on a for each row execute function f()",
        "merge into a using b on a.id = b.id when matched then delete",
        "update a set x = random() where bucket = $1",
        "update a set x = 1",
        "delete from a where id = $1",
        "select x from a where bucket = $1 for update",
        "select (select max(x) from b) from a",
        "select (select max(x) from b) as most from a",
        "truncate a",
        "selekt",
    ] {
        assert!(!complaints(refused).is_empty(), "{refused}");
    }
}

#[test]
fn every_table_is_distributed_by_its_bucket_together_with_the_others() {
    let script = include_str!("../../../../deploy/citus.sql");
    for table in TABLES {
        let distributed =
            format!("select create_distributed_table('{}', 'bucket', colocate_with => ", table.name);
        assert!(script.contains(&distributed), "{}", table.name);
    }
    assert_eq!(script.matches("select create_distributed_table").count(), TABLES.len());
    assert_eq!(script.matches("=> 'wallet'").count(), TABLES.len() - 1);
}
