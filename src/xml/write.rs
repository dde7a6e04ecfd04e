//! The XML writer: placeholder until its part lands.
