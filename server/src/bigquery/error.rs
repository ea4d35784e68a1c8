//! Why BigQuery could not be asked, and what to do.

/// Why BigQuery gave no answer that can be used. Each message ends with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BigQueryError {
    /// A setting cannot be used, or one is missing.
    #[error("{0}")]
    Settings(String),
    /// There are no credentials, or no token can be had for them.
    #[error(
        "{0}; run `gcloud auth application-default login`, or set `credentials` to the key file of a service account"
    )]
    Credentials(String),
    /// Somebody else's token is not taken, or the account may not act as another one.
    #[error("{what}; {remedy}")]
    SignIn {
        /// What happened.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// BigQuery does not take the credentials (401).
    #[error(
        "BigQuery does not take the credentials (401): {0}; run `gcloud auth application-default login`, or set \
         `credentials` to the key file of a service account"
    )]
    Unauthorized(String),
    /// The account may not do this (403).
    #[error(
        "BigQuery refuses access (403): {0}; the account needs the role BigQuery Metadata Viewer where it reads \
         schemas, BigQuery Job User in the project of dry runs and jobs, BigQuery Data Viewer where it reads rows, and BigQuery's API must be enabled there"
    )]
    Forbidden(String),
    /// A limit of requests or a quota is used up, still after waiting.
    #[error(
        "BigQuery's limit is reached: {0}; try again later, or set `billing_project` to a project with more quota"
    )]
    Quota(String),
    /// There is no such project, dataset or table (404).
    #[error("BigQuery does not find it (404): {0}; correct `project` or the name")]
    NotFound(String),
    /// BigQuery cannot make sense of the request (other 4xx).
    #[error("BigQuery refuses the request ({reason}): {message}")]
    Refused {
        /// BigQuery's word for it, such as `invalidQuery`.
        reason: String,
        /// What it says.
        message: String,
    },
    /// BigQuery cannot be reached, or fails, still after several tries.
    #[error("{0}; check the network, and try again")]
    Unavailable(String),
    /// The answer is not BigQuery's.
    #[error(
        "{0}; a proxy or a sign-in page stands in between, or `endpoint` is the address of something else"
    )]
    NotBigQuery(String),
}
