//! How a command ends when it does not succeed.

use std::process::ExitCode;

/// One message and the exit code that tells a script whose turn it is.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// 1: failed while running.
    #[error("{0}")]
    Failed(String),
    /// 2: the user's file or options are not valid.
    #[error("{0}")]
    Invalid(String),
    /// 3: the state cannot be used.
    #[error("{0}")]
    State(String),
    /// 130: ended by a second signal.
    #[error("ended at once; what was committed stays committed")]
    Interrupted,
}

impl Exit {
    pub fn failed(message: impl ToString) -> Self {
        Self::Failed(message.to_string())
    }

    pub fn invalid(message: impl ToString) -> Self {
        Self::Invalid(message.to_string())
    }

    pub fn state(message: impl ToString) -> Self {
        Self::State(message.to_string())
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Invalid(_) => 2,
            Self::State(_) => 3,
            Self::Interrupted => 130,
        }
    }

    /// Prints the message and gives the code.
    pub fn report(&self) -> ExitCode {
        eprintln!("error: {self}");
        ExitCode::from(self.code())
    }
}
