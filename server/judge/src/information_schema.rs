//! The views of INFORMATION_SCHEMA, which every dataset, region and project has.
//!
//! Columns follow <https://cloud.google.com/bigquery/docs/information-schema-intro>. Google adds columns now and
//! then, so a column that is not here proves nothing: these tables are bound as open.

use bigquill_analysis::schema::{Column, DataType, Mode, TableKind, TableNotes, TableReference, TableSchema};

const SCHEMA: &str = "INFORMATION_SCHEMA";

/// A view's columns: a type, then the names that have it; in order of the documentation within a type.
struct View {
    name: &'static str,
    columns: &'static [(&'static str, &'static [&'static str])],
}

const OBJECT: &[&str] = &["table_catalog", "table_schema", "table_name"];

const JOBS: &[(&str, &[&str])] = &[
    (
        "STRING",
        &[
            "project_id",
            "user_email",
            "job_id",
            "job_type",
            "statement_type",
            "priority",
            "query",
            "state",
            "reservation_id",
            "transaction_id",
            "parent_job_id",
            "principal_subject",
        ],
    ),
    ("TIMESTAMP", &["creation_time", "start_time", "end_time"]),
    (
        "INT64",
        &[
            "project_number",
            "total_bytes_processed",
            "total_bytes_billed",
            "total_slot_ms",
            "total_modified_partitions",
            "transferred_bytes",
        ],
    ),
    ("BOOL", &["cache_hit"]),
];

const VIEWS: &[View] = &[
    View {
        name: "SCHEMATA",
        columns: &[
            (
                "STRING",
                &[
                    "catalog_name",
                    "schema_name",
                    "schema_owner",
                    "location",
                    "ddl",
                    "default_collation_name",
                ],
            ),
            ("TIMESTAMP", &["creation_time", "last_modified_time"]),
        ],
    },
    View {
        name: "SCHEMATA_OPTIONS",
        columns: &[(
            "STRING",
            &[
                "catalog_name",
                "schema_name",
                "option_name",
                "option_type",
                "option_value",
            ],
        )],
    },
    View {
        name: "TABLES",
        columns: &[
            ("STRING", OBJECT),
            (
                "STRING",
                &[
                    "table_type",
                    "managed_table_type",
                    "is_insertable_into",
                    "is_fine_grained_mutations_enabled",
                    "is_typed",
                    "is_change_history_enabled",
                    "base_table_catalog",
                    "base_table_schema",
                    "base_table_name",
                    "replica_source_catalog",
                    "replica_source_schema",
                    "replica_source_name",
                    "replication_status",
                    "replication_error",
                    "ddl",
                    "default_collation_name",
                    "upsert_stream_apply_watermark",
                ],
            ),
            ("TIMESTAMP", &["creation_time", "snapshot_time_ms"]),
        ],
    },
    View {
        name: "TABLE_OPTIONS",
        columns: &[
            ("STRING", OBJECT),
            ("STRING", &["option_name", "option_type", "option_value"]),
        ],
    },
    View {
        name: "COLUMNS",
        columns: &[
            ("STRING", OBJECT),
            (
                "STRING",
                &[
                    "column_name",
                    "is_nullable",
                    "data_type",
                    "is_generated",
                    "generation_expression",
                    "is_stored",
                    "is_hidden",
                    "is_updatable",
                    "is_system_defined",
                    "is_partitioning_column",
                    "collation_name",
                    "column_default",
                    "rounding_mode",
                    "policy_tags",
                ],
            ),
            ("INT64", &["ordinal_position", "clustering_ordinal_position"]),
        ],
    },
    View {
        name: "COLUMN_FIELD_PATHS",
        columns: &[
            ("STRING", OBJECT),
            (
                "STRING",
                &[
                    "column_name",
                    "field_path",
                    "data_type",
                    "description",
                    "collation_name",
                    "rounding_mode",
                    "policy_tags",
                ],
            ),
        ],
    },
    View {
        name: "PARTITIONS",
        columns: &[
            ("STRING", OBJECT),
            ("STRING", &["partition_id", "storage_tier"]),
            (
                "INT64",
                &["total_rows", "total_logical_bytes", "total_billable_bytes"],
            ),
            ("TIMESTAMP", &["last_modified_time"]),
        ],
    },
    View {
        name: "VIEWS",
        columns: &[
            ("STRING", OBJECT),
            ("STRING", &["view_definition", "check_option", "use_standard_sql"]),
        ],
    },
    View {
        name: "ROUTINES",
        columns: &[
            (
                "STRING",
                &[
                    "specific_catalog",
                    "specific_schema",
                    "specific_name",
                    "routine_catalog",
                    "routine_schema",
                    "routine_name",
                    "routine_type",
                    "data_type",
                    "routine_body",
                    "routine_definition",
                    "external_language",
                    "is_deterministic",
                    "security_type",
                    "ddl",
                ],
            ),
            ("TIMESTAMP", &["created", "last_altered"]),
        ],
    },
    View {
        name: "PARAMETERS",
        columns: &[
            (
                "STRING",
                &[
                    "specific_catalog",
                    "specific_schema",
                    "specific_name",
                    "parameter_mode",
                    "is_result",
                    "parameter_name",
                    "data_type",
                    "parameter_default",
                    "is_aggregate",
                ],
            ),
            ("INT64", &["ordinal_position"]),
        ],
    },
    View {
        name: "TABLE_STORAGE",
        columns: &[
            (
                "STRING",
                &[
                    "project_id",
                    "table_catalog",
                    "table_schema",
                    "table_name",
                    "table_type",
                ],
            ),
            (
                "INT64",
                &[
                    "project_number",
                    "total_rows",
                    "total_partitions",
                    "total_logical_bytes",
                    "active_logical_bytes",
                    "long_term_logical_bytes",
                    "current_physical_bytes",
                    "total_physical_bytes",
                    "active_physical_bytes",
                    "long_term_physical_bytes",
                    "time_travel_physical_bytes",
                    "fail_safe_physical_bytes",
                ],
            ),
            (
                "TIMESTAMP",
                &[
                    "creation_time",
                    "storage_last_modified_time",
                    "last_metadata_index_refresh_time",
                ],
            ),
            ("BOOL", &["deleted"]),
        ],
    },
    View {
        name: "TABLE_CONSTRAINTS",
        columns: &[(
            "STRING",
            &[
                "constraint_catalog",
                "constraint_schema",
                "constraint_name",
                "table_catalog",
                "table_schema",
                "table_name",
                "constraint_type",
                "is_deferrable",
                "initially_deferred",
                "enforced",
            ],
        )],
    },
    View {
        name: "KEY_COLUMN_USAGE",
        columns: &[
            (
                "STRING",
                &[
                    "constraint_catalog",
                    "constraint_schema",
                    "constraint_name",
                    "table_catalog",
                    "table_schema",
                    "table_name",
                    "column_name",
                ],
            ),
            ("INT64", &["ordinal_position", "position_in_unique_constraint"]),
        ],
    },
    View {
        name: "JOBS",
        columns: JOBS,
    },
    View {
        name: "JOBS_BY_PROJECT",
        columns: JOBS,
    },
    View {
        name: "JOBS_BY_USER",
        columns: JOBS,
    },
    View {
        name: "JOBS_BY_FOLDER",
        columns: JOBS,
    },
    View {
        name: "JOBS_BY_ORGANIZATION",
        columns: JOBS,
    },
];

/// The view that a path names, if one of its parts but the last is `INFORMATION_SCHEMA`.
///
/// A view that is not known here has no columns: no verdict comes of it.
pub(crate) fn view(path: &[&str]) -> Option<TableSchema> {
    let [before @ .., schema, name] = path else {
        return None;
    };
    if !schema.eq_ignore_ascii_case(SCHEMA) {
        return None;
    }
    let columns = VIEWS
        .iter()
        .find(|view| view.name.eq_ignore_ascii_case(name))
        .map_or(&[][..], |v| v.columns);
    let column = |data_type: &str, name: &str| Column {
        name: name.to_owned(),
        data_type: DataType::from_name(data_type),
        mode: Mode::Nullable,
        description: String::new(),
        fields: Vec::new(),
    };
    Some(TableSchema {
        reference: TableReference {
            project: before.join("."),
            dataset: SCHEMA.to_owned(),
            table: name.to_ascii_uppercase(),
        },
        kind: TableKind::View,
        description: String::new(),
        columns: columns
            .iter()
            .flat_map(|(of, names)| names.iter().map(|name| column(of, name)))
            .collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        partitioning: None,
        clustering: Vec::new(),
        num_rows: None,
        num_bytes: None,
        notes: TableNotes::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_found_behind_dataset_region_or_nothing() {
        for path in [
            &["shop", "INFORMATION_SCHEMA", "TABLES"][..],
            &["region-us", "information_schema", "tables"],
            &["INFORMATION_SCHEMA", "SCHEMATA"],
        ] {
            assert!(view(path).is_some_and(|v| !v.columns.is_empty()), "{path:?}");
        }
        assert!(view(&["shop", "INFORMATION_SCHEMA", "NO_SUCH_VIEW"]).is_some_and(|v| v.columns.is_empty()));
        assert!(view(&["shop", "orders"]).is_none());
    }
}
