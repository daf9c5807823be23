//! command_bus
