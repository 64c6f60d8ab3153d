//! Numbers of header tags, named as rpm names them.
//!
//! Source: rpm's `include/rpm/rpmtag.h`. Numbers from 256 to 511 are signature tags as an installed header holds them;
//! [`signature`] has those whose number differs in the signature header of a package.

#![expect(
    missing_docs,
    reason = "the names are rpm's own; its manual describes each"
)]

pub const HEADERIMAGE: u32 = 61;
pub const HEADERSIGNATURES: u32 = 62;
pub const HEADERIMMUTABLE: u32 = 63;
pub const HEADERI18NTABLE: u32 = 100;

pub const SIGSIZE: u32 = 257;
pub const SIGPGP: u32 = 259;
pub const SIGMD5: u32 = 261;
pub const SIGGPG: u32 = 262;
pub const DSAHEADER: u32 = 267;
pub const RSAHEADER: u32 = 268;
pub const SHA1HEADER: u32 = 269;
pub const LONGSIGSIZE: u32 = 270;
pub const LONGARCHIVESIZE: u32 = 271;
pub const SHA256HEADER: u32 = 273;
pub const VERITYSIGNATURES: u32 = 276;
pub const VERITYSIGNATUREALGO: u32 = 277;
pub const OPENPGP: u32 = 278;
pub const SHA3_256HEADER: u32 = 279;

pub const NAME: u32 = 1000;
pub const VERSION: u32 = 1001;
pub const RELEASE: u32 = 1002;
pub const EPOCH: u32 = 1003;
pub const SUMMARY: u32 = 1004;
pub const DESCRIPTION: u32 = 1005;
pub const BUILDTIME: u32 = 1006;
pub const BUILDHOST: u32 = 1007;
pub const INSTALLTIME: u32 = 1008;
pub const SIZE: u32 = 1009;
pub const DISTRIBUTION: u32 = 1010;
pub const VENDOR: u32 = 1011;
pub const LICENSE: u32 = 1014;
pub const PACKAGER: u32 = 1015;
pub const GROUP: u32 = 1016;
pub const URL: u32 = 1020;
pub const OS: u32 = 1021;
pub const ARCH: u32 = 1022;
pub const PREIN: u32 = 1023;
pub const POSTIN: u32 = 1024;
pub const PREUN: u32 = 1025;
pub const POSTUN: u32 = 1026;
pub const OLDFILENAMES: u32 = 1027;
pub const FILESIZES: u32 = 1028;
pub const FILESTATES: u32 = 1029;
pub const FILEMODES: u32 = 1030;
pub const FILERDEVS: u32 = 1033;
pub const FILEMTIMES: u32 = 1034;
pub const FILEDIGESTS: u32 = 1035;
pub const FILELINKTOS: u32 = 1036;
pub const FILEFLAGS: u32 = 1037;
pub const FILEUSERNAME: u32 = 1039;
pub const FILEGROUPNAME: u32 = 1040;
pub const SOURCERPM: u32 = 1044;
pub const FILEVERIFYFLAGS: u32 = 1045;
pub const ARCHIVESIZE: u32 = 1046;
pub const PROVIDENAME: u32 = 1047;
pub const REQUIREFLAGS: u32 = 1048;
pub const REQUIRENAME: u32 = 1049;
pub const REQUIREVERSION: u32 = 1050;
pub const CONFLICTFLAGS: u32 = 1053;
pub const CONFLICTNAME: u32 = 1054;
pub const CONFLICTVERSION: u32 = 1055;
pub const RPMVERSION: u32 = 1064;
pub const TRIGGERSCRIPTS: u32 = 1065;
pub const TRIGGERNAME: u32 = 1066;
pub const TRIGGERVERSION: u32 = 1067;
pub const TRIGGERFLAGS: u32 = 1068;
pub const TRIGGERINDEX: u32 = 1069;
pub const VERIFYSCRIPT: u32 = 1079;
pub const CHANGELOGTIME: u32 = 1080;
pub const CHANGELOGNAME: u32 = 1081;
pub const CHANGELOGTEXT: u32 = 1082;
pub const PREINPROG: u32 = 1085;
pub const POSTINPROG: u32 = 1086;
pub const PREUNPROG: u32 = 1087;
pub const POSTUNPROG: u32 = 1088;
pub const OBSOLETENAME: u32 = 1090;
pub const VERIFYSCRIPTPROG: u32 = 1091;
pub const TRIGGERSCRIPTPROG: u32 = 1092;
pub const FILEDEVICES: u32 = 1095;
pub const FILEINODES: u32 = 1096;
pub const FILELANGS: u32 = 1097;
pub const PREFIXES: u32 = 1098;
pub const INSTPREFIXES: u32 = 1099;
pub const SOURCEPACKAGE: u32 = 1106;
pub const PROVIDEFLAGS: u32 = 1112;
pub const PROVIDEVERSION: u32 = 1113;
pub const OBSOLETEFLAGS: u32 = 1114;
pub const OBSOLETEVERSION: u32 = 1115;
pub const DIRINDEXES: u32 = 1116;
pub const BASENAMES: u32 = 1117;
pub const DIRNAMES: u32 = 1118;
pub const PAYLOADFORMAT: u32 = 1124;
pub const PAYLOADCOMPRESSOR: u32 = 1125;
pub const PAYLOADFLAGS: u32 = 1126;
pub const INSTALLCOLOR: u32 = 1127;
pub const INSTALLTID: u32 = 1128;
pub const PLATFORM: u32 = 1132;
pub const FILECOLORS: u32 = 1140;
pub const FILECLASS: u32 = 1141;
pub const CLASSDICT: u32 = 1142;
pub const PRETRANS: u32 = 1151;
pub const POSTTRANS: u32 = 1152;
pub const PRETRANSPROG: u32 = 1153;
pub const POSTTRANSPROG: u32 = 1154;

pub const LONGFILESIZES: u32 = 5008;
pub const LONGSIZE: u32 = 5009;
pub const FILECAPS: u32 = 5010;
pub const FILEDIGESTALGO: u32 = 5011;
pub const PREINFLAGS: u32 = 5020;
pub const POSTINFLAGS: u32 = 5021;
pub const PREUNFLAGS: u32 = 5022;
pub const POSTUNFLAGS: u32 = 5023;
pub const PRETRANSFLAGS: u32 = 5024;
pub const POSTTRANSFLAGS: u32 = 5025;
pub const TRIGGERSCRIPTFLAGS: u32 = 5027;
pub const RECOMMENDNAME: u32 = 5046;
pub const RECOMMENDVERSION: u32 = 5047;
pub const RECOMMENDFLAGS: u32 = 5048;
pub const SUGGESTNAME: u32 = 5049;
pub const SUGGESTVERSION: u32 = 5050;
pub const SUGGESTFLAGS: u32 = 5051;
pub const SUPPLEMENTNAME: u32 = 5052;
pub const SUPPLEMENTVERSION: u32 = 5053;
pub const SUPPLEMENTFLAGS: u32 = 5054;
pub const ENHANCENAME: u32 = 5055;
pub const ENHANCEVERSION: u32 = 5056;
pub const ENHANCEFLAGS: u32 = 5057;
pub const ENCODING: u32 = 5062;
pub const FILETRIGGERSCRIPTS: u32 = 5066;
pub const FILETRIGGERSCRIPTPROG: u32 = 5067;
pub const FILETRIGGERSCRIPTFLAGS: u32 = 5068;
pub const FILETRIGGERNAME: u32 = 5069;
pub const FILETRIGGERINDEX: u32 = 5070;
pub const FILETRIGGERVERSION: u32 = 5071;
pub const FILETRIGGERFLAGS: u32 = 5072;
pub const TRANSFILETRIGGERSCRIPTS: u32 = 5076;
pub const TRANSFILETRIGGERSCRIPTPROG: u32 = 5077;
pub const TRANSFILETRIGGERSCRIPTFLAGS: u32 = 5078;
pub const TRANSFILETRIGGERNAME: u32 = 5079;
pub const TRANSFILETRIGGERINDEX: u32 = 5080;
pub const TRANSFILETRIGGERVERSION: u32 = 5081;
pub const TRANSFILETRIGGERFLAGS: u32 = 5082;
pub const FILETRIGGERPRIORITIES: u32 = 5084;
pub const TRANSFILETRIGGERPRIORITIES: u32 = 5085;
pub const FILESIGNATURES: u32 = 5090;
pub const FILESIGNATURELENGTH: u32 = 5091;
pub const PAYLOADDIGEST: u32 = 5092;
pub const PAYLOADDIGESTALGO: u32 = 5093;
pub const MODULARITYLABEL: u32 = 5096;
pub const PAYLOADDIGESTALT: u32 = 5097;
pub const PREUNTRANS: u32 = 5103;
pub const POSTUNTRANS: u32 = 5104;
pub const PREUNTRANSPROG: u32 = 5105;
pub const POSTUNTRANSPROG: u32 = 5106;
pub const SYSUSERS: u32 = 5109;

/// Tags of a package's signature header that an installed header holds under another number.
pub mod signature {
    pub const SIZE: u32 = 1000;
    pub const PGP: u32 = 1002;
    pub const MD5: u32 = 1004;
    pub const GPG: u32 = 1005;
    pub const PAYLOADSIZE: u32 = 1007;
    pub const RESERVEDSPACE: u32 = 1008;
    pub const FILESIGNATURES: u32 = 274;
    pub const FILESIGNATURELENGTH: u32 = 275;
}

/// Returns rpm's name of `tag` if it is one that messages are likely to speak of.
#[must_use]
pub fn name(tag: u32) -> Option<&'static str> {
    Some(match tag {
        HEADERIMAGE => "Headerimage",
        HEADERSIGNATURES => "Headersignatures",
        HEADERIMMUTABLE => "Headerimmutable",
        NAME => "Name",
        VERSION => "Version",
        RELEASE => "Release",
        EPOCH => "Epoch",
        ARCH => "Arch",
        FILESIZES => "Filesizes",
        LONGFILESIZES => "Longfilesizes",
        FILESTATES => "Filestates",
        FILEMODES => "Filemodes",
        FILERDEVS => "Filerdevs",
        FILEMTIMES => "Filemtimes",
        FILEDIGESTS => "Filedigests",
        FILEDIGESTALGO => "Filedigestalgo",
        FILELINKTOS => "Filelinktos",
        FILEFLAGS => "Fileflags",
        FILEUSERNAME => "Fileusername",
        FILEGROUPNAME => "Filegroupname",
        FILEINODES => "Fileinodes",
        FILEDEVICES => "Filedevices",
        FILELANGS => "Filelangs",
        FILECAPS => "Filecaps",
        FILECOLORS => "Filecolors",
        DIRINDEXES => "Dirindexes",
        BASENAMES => "Basenames",
        DIRNAMES => "Dirnames",
        OLDFILENAMES => "Oldfilenames",
        PAYLOADFORMAT => "Payloadformat",
        PAYLOADCOMPRESSOR => "Payloadcompressor",
        PAYLOADDIGEST => "Payloaddigest",
        PAYLOADDIGESTALGO => "Payloaddigestalgo",
        INSTALLTIME => "Installtime",
        INSTALLTID => "Installtid",
        INSTALLCOLOR => "Installcolor",
        SIGMD5 => "Sigmd5",
        SIGPGP => "Sigpgp",
        RSAHEADER => "Rsaheader",
        SHA1HEADER => "Sha1header",
        SHA256HEADER => "Sha256header",
        _ => return None,
    })
}
