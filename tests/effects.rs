//! Scriptlets: which are known, and that what imgbuild does instead equals what the real tools leave.

mod common;
mod effects {
    mod accounts;
    mod after;
    mod disk;
    mod inventory;
    mod ldconfig;
    mod standin;
}
