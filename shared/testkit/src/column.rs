//! The two columns of parts on which a service is tested: those of production, and those of the embedded suite.

/// On what a service runs in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// PostgreSQL, RabbitMQ and a mail server.
    Real,
    /// SQLite files, the embedded broker and a folder of emails.
    Embedded,
}

/// Makes a test for each column of an async function that takes a [`Column`].
#[macro_export]
macro_rules! on_both {
    ($test:ident) => {
        mod $test {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_real_parts() {
                super::$test(carepost_testkit::Column::Real).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_embedded_parts() {
                super::$test(carepost_testkit::Column::Embedded).await;
            }
        }
    };
}
