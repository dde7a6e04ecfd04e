//! The functions that any thread may call at any time: the log and the configuration.
//!
//! What they rely on is at the top of `access`.

use gmetad_plugin::abi::{self, Api, Text, status};

use super::super::context::Context;
use super::super::text::{text, text_lossy};
use super::{put, put_sized, with};
use gmetad_core::complaint::{CRITICAL, FATAL};

pub(super) unsafe extern "C" fn log(api: *const Api, level: i32, line: Text) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let (context, line) = unsafe { (Context::of(api), text_lossy(line)) };
    let Some(context) = context else {
        return status::NOT_NOW;
    };
    let name = context.label().text();
    let line = line.trim_end();
    match level {
        abi::level::FATAL => log::error!(target: FATAL, "plugin {name}: {line}"),
        abi::level::CRITICAL => log::error!(target: CRITICAL, "plugin {name}: {line}"),
        abi::level::ERROR => log::error!("plugin {name}: {line}"),
        abi::level::WARNING => log::warn!("plugin {name}: {line}"),
        abi::level::INFO => log::info!("plugin {name}: {line}"),
        abi::level::DEBUG => log::debug!("plugin {name}: {line}"),
        _ => return status::BAD_VALUE,
    }
    status::OK
}

pub(super) unsafe extern "C" fn fail(api: *const Api, reason: Text) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let (context, reason) = unsafe { (Context::of(api), text_lossy(reason)) };
    match context {
        Some(context) if context.set_reason(&reason) => status::FAILED,
        _ => status::NOT_NOW,
    }
}

pub(super) unsafe extern "C" fn setting(api: *const Api, name: Text, value: *mut Text) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        let Some(name) = text(name) else {
            return status::BAD_VALUE;
        };
        with(api, status::NOT_NOW, |context| {
            let Some(found) = context.facts().setting(name) else {
                return status::ABSENT;
            };
            put(value, Text::of(found));
            status::OK
        })
    }
}

pub(super) unsafe extern "C" fn setting_at(
    api: *const Api,
    at: usize,
    name: *mut Text,
    value: *mut Text,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, status::NOT_NOW, |context| {
            let Some((found, its_value)) = context.facts().setting_at(at) else {
                return status::ABSENT;
            };
            put(name, Text::of(found));
            put(value, Text::of(its_value));
            status::OK
        })
    }
}

pub(super) unsafe extern "C" fn source_at(
    api: *const Api,
    at: usize,
    out: *mut abi::Source,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, status::NOT_NOW, |context| {
            let Some(source) = context.facts().source_at(at) else {
                return status::ABSENT;
            };
            let found = abi::Source {
                size: 0,
                hosts: source.hosts.len() as u32,
                name: Text::of(&source.name),
                interval: source.interval.as_secs_f64(),
            };
            put_sized(out, &found)
        })
    }
}

pub(super) unsafe extern "C" fn source_host_at(
    api: *const Api,
    source: usize,
    at: usize,
    out: *mut Text,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, status::NOT_NOW, |context| {
            let source = context.facts().source_at(source);
            let Some(host) = source.and_then(|source| source.hosts.get(at)) else {
                return status::ABSENT;
            };
            put(out, Text::of(host));
            status::OK
        })
    }
}

pub(super) unsafe extern "C" fn section(
    api: *const Api,
    id: Text,
    out: *mut *const abi::Directive,
    count: *mut usize,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        let Some(id) = text(id) else {
            return status::BAD_VALUE;
        };
        with(api, status::NOT_NOW, |context| {
            let Some(directives) = context.facts().section(id) else {
                return status::ABSENT;
            };
            put(out, directives.as_ptr());
            put(count, directives.len());
            status::OK
        })
    }
}

pub(super) unsafe extern "C" fn section_at(
    api: *const Api,
    at: usize,
    id: *mut Text,
    out: *mut *const abi::Directive,
    count: *mut usize,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, status::NOT_NOW, |context| {
            let Some((found, directives)) = context.facts().section_at(at) else {
                return status::ABSENT;
            };
            put(id, Text::of(found));
            put(out, directives.as_ptr());
            put(count, directives.len());
            status::OK
        })
    }
}
