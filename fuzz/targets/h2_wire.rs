#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auraed::transport::fuzz::h2_wire(data));
