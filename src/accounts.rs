//! Users and groups of an image: passwd, group, shadow and gshadow, edited as lines.
