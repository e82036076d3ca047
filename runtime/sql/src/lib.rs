//! From SQL text to the streaming plan.

pub mod functions;
