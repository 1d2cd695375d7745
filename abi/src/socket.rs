//! Sockets (socket(2), socket(7), unix(7), ip(7), send(2), recv(2)).

use crate::plain::plain;

// Address families.
pub const AF_UNSPEC: u16 = 0;
pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
pub const AF_NETLINK: u16 = 16;
pub const AF_PACKET: u16 = 17;
pub const AF_VSOCK: u16 = 40;
pub const AF_ALG: u16 = 38;
pub const AF_MAX: u16 = 46;

// Types of socket, in the low bits of socket(2)'s second argument.
pub const SOCK_STREAM: u32 = 1;
pub const SOCK_DGRAM: u32 = 2;
pub const SOCK_RAW: u32 = 3;
pub const SOCK_RDM: u32 = 4;
pub const SOCK_SEQPACKET: u32 = 5;
/// The bits of socket(2)'s second argument that tell the type.
pub const SOCK_TYPE_MASK: u32 = 0xf;

bitflags::bitflags! {
    /// Flags in the upper bits of socket(2)'s second argument, and those of accept4(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SocketFlags: u32 {
        /// `SOCK_NONBLOCK`.
        const NONBLOCK = 0x800;
        /// `SOCK_CLOEXEC`.
        const CLOEXEC = 0x8_0000;
    }
}

// Protocols.
pub const IPPROTO_IP: i32 = 0;
pub const IPPROTO_ICMP: i32 = 1;
pub const IPPROTO_IGMP: i32 = 2;
pub const IPPROTO_TCP: i32 = 6;
pub const IPPROTO_UDP: i32 = 17;
pub const IPPROTO_IPV6: i32 = 41;
pub const IPPROTO_ICMPV6: i32 = 58;
pub const IPPROTO_RAW: i32 = 255;

// What shutdown(2) closes.
pub const SHUT_RD: i32 = 0;
pub const SHUT_WR: i32 = 1;
pub const SHUT_RDWR: i32 = 2;

bitflags::bitflags! {
    /// Flags of send(2) and recv(2), and what recvmsg(2) says of a message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MessageFlags: u32 {
        /// `MSG_OOB`.
        const OOB = 0x1;
        /// `MSG_PEEK`.
        const PEEK = 0x2;
        /// `MSG_DONTROUTE`.
        const DONTROUTE = 0x4;
        /// `MSG_CTRUNC`.
        const CTRUNC = 0x8;
        /// `MSG_PROBE`.
        const PROBE = 0x10;
        /// `MSG_TRUNC`.
        const TRUNC = 0x20;
        /// `MSG_DONTWAIT`.
        const DONTWAIT = 0x40;
        /// `MSG_EOR`.
        const EOR = 0x80;
        /// `MSG_WAITALL`.
        const WAITALL = 0x100;
        /// `MSG_FIN`.
        const FIN = 0x200;
        /// `MSG_SYN`.
        const SYN = 0x400;
        /// `MSG_CONFIRM`.
        const CONFIRM = 0x800;
        /// `MSG_RST`.
        const RST = 0x1000;
        /// `MSG_ERRQUEUE`.
        const ERRQUEUE = 0x2000;
        /// `MSG_NOSIGNAL`.
        const NOSIGNAL = 0x4000;
        /// `MSG_MORE`.
        const MORE = 0x8000;
        /// `MSG_CMSG_CLOEXEC`.
        const CMSG_CLOEXEC = 0x4000_0000;
    }
}
/// The flag of recvmmsg(2): wait for the first message only. sendmsg(2) refuses nothing about it.
pub const MSG_WAITFORONE: u32 = 0x1_0000;
pub const MSG_FASTOPEN: u32 = 0x2000_0000;

// Levels of an option.
pub const SOL_SOCKET: i32 = 1;
pub const SOL_IP: i32 = 0;
pub const SOL_TCP: i32 = 6;
pub const SOL_UDP: i32 = 17;
pub const SOL_IPV6: i32 = 41;
pub const SOL_RAW: i32 = 255;
pub const SOL_PACKET: i32 = 263;
pub const SOL_NETLINK: i32 = 270;

// Options of every socket (socket(7)).
pub const SO_DEBUG: i32 = 1;
pub const SO_REUSEADDR: i32 = 2;
pub const SO_TYPE: i32 = 3;
pub const SO_ERROR: i32 = 4;
pub const SO_DONTROUTE: i32 = 5;
pub const SO_BROADCAST: i32 = 6;
pub const SO_SNDBUF: i32 = 7;
pub const SO_RCVBUF: i32 = 8;
pub const SO_SNDBUFFORCE: i32 = 32;
pub const SO_RCVBUFFORCE: i32 = 33;
pub const SO_KEEPALIVE: i32 = 9;
pub const SO_OOBINLINE: i32 = 10;
pub const SO_NO_CHECK: i32 = 11;
pub const SO_PRIORITY: i32 = 12;
pub const SO_LINGER: i32 = 13;
pub const SO_BSDCOMPAT: i32 = 14;
pub const SO_REUSEPORT: i32 = 15;
pub const SO_PASSCRED: i32 = 16;
pub const SO_PEERCRED: i32 = 17;
pub const SO_RCVLOWAT: i32 = 18;
pub const SO_SNDLOWAT: i32 = 19;
pub const SO_RCVTIMEO: i32 = 20;
pub const SO_SNDTIMEO: i32 = 21;
pub const SO_BINDTODEVICE: i32 = 25;
pub const SO_ATTACH_FILTER: i32 = 26;
pub const SO_DETACH_FILTER: i32 = 27;
pub const SO_PEERNAME: i32 = 28;
pub const SO_TIMESTAMP: i32 = 29;
pub const SO_ACCEPTCONN: i32 = 30;
pub const SO_PEERSEC: i32 = 31;
pub const SO_PASSSEC: i32 = 34;
pub const SO_TIMESTAMPNS: i32 = 35;
pub const SO_MARK: i32 = 36;
pub const SO_PROTOCOL: i32 = 38;
pub const SO_DOMAIN: i32 = 39;
pub const SO_RXQ_OVFL: i32 = 40;
pub const SO_PEEK_OFF: i32 = 42;
pub const SO_BUSY_POLL: i32 = 46;
pub const SO_INCOMING_CPU: i32 = 49;
pub const SO_MEMINFO: i32 = 55;
pub const SO_COOKIE: i32 = 57;
pub const SO_PEERGROUPS: i32 = 59;
pub const SO_ZEROCOPY: i32 = 60;
pub const SO_PEERPIDFD: i32 = 77;
pub const SO_PASSPIDFD: i32 = 76;

// Options of IPv4 and IPv6 sockets (ip(7), ipv6(7)).
pub const IP_TOS: i32 = 1;
pub const IP_TTL: i32 = 2;
pub const IP_HDRINCL: i32 = 3;
pub const IP_OPTIONS: i32 = 4;
pub const IP_PKTINFO: i32 = 8;
pub const IP_MTU_DISCOVER: i32 = 10;
pub const IP_RECVERR: i32 = 11;
pub const IP_RECVTTL: i32 = 12;
pub const IP_RECVTOS: i32 = 13;
pub const IP_MTU: i32 = 14;
pub const IP_FREEBIND: i32 = 15;
pub const IP_TRANSPARENT: i32 = 19;
pub const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
pub const IP_MULTICAST_IF: i32 = 32;
pub const IP_MULTICAST_TTL: i32 = 33;
pub const IP_MULTICAST_LOOP: i32 = 34;
pub const IP_ADD_MEMBERSHIP: i32 = 35;
pub const IP_DROP_MEMBERSHIP: i32 = 36;
pub const IP_MULTICAST_ALL: i32 = 49;
pub const IPV6_UNICAST_HOPS: i32 = 16;
pub const IPV6_MULTICAST_IF: i32 = 17;
pub const IPV6_MULTICAST_HOPS: i32 = 18;
pub const IPV6_MULTICAST_LOOP: i32 = 19;
pub const IPV6_ADD_MEMBERSHIP: i32 = 20;
pub const IPV6_DROP_MEMBERSHIP: i32 = 21;
pub const IPV6_MTU_DISCOVER: i32 = 23;
pub const IPV6_MTU: i32 = 24;
pub const IPV6_RECVERR: i32 = 25;
pub const IPV6_V6ONLY: i32 = 26;
pub const IPV6_RECVPKTINFO: i32 = 49;
pub const IPV6_PKTINFO: i32 = 50;
pub const IPV6_TCLASS: i32 = 67;

// Options of TCP sockets (tcp(7)).
pub const TCP_NODELAY: i32 = 1;
pub const TCP_MAXSEG: i32 = 2;
pub const TCP_CORK: i32 = 3;
pub const TCP_KEEPIDLE: i32 = 4;
pub const TCP_KEEPINTVL: i32 = 5;
pub const TCP_KEEPCNT: i32 = 6;
pub const TCP_SYNCNT: i32 = 7;
pub const TCP_LINGER2: i32 = 8;
pub const TCP_DEFER_ACCEPT: i32 = 9;
pub const TCP_WINDOW_CLAMP: i32 = 10;
pub const TCP_INFO: i32 = 11;
pub const TCP_QUICKACK: i32 = 12;
pub const TCP_CONGESTION: i32 = 13;
pub const TCP_USER_TIMEOUT: i32 = 18;
pub const TCP_FASTOPEN: i32 = 23;
pub const TCP_NOTSENT_LOWAT: i32 = 25;
pub const TCP_FASTOPEN_CONNECT: i32 = 30;

// What a control message carries.
pub const SCM_RIGHTS: i32 = 1;
pub const SCM_CREDENTIALS: i32 = 2;
pub const SCM_SECURITY: i32 = 3;
pub const SCM_TIMESTAMP: i32 = 29;
pub const SCM_TIMESTAMPNS: i32 = 35;

/// The most descriptors that one SCM_RIGHTS carries (unix(7)).
pub const SCM_MAX_FD: usize = 253;

/// The backlog that listen(2) is cut to (/proc/sys/net/core/somaxconn's default).
pub const SOMAXCONN: u32 = 4096;

/// The longest path of a [`SockaddrUn`].
pub const UNIX_PATH_MAX: usize = 108;

plain! {
    /// An address of AF_UNIX (`struct sockaddr_un`): a path, or a NUL and an abstract name.
    pub struct SockaddrUn {
        pub sun_family: u16,
        pub sun_path: [u8; UNIX_PATH_MAX],
    }

    /// An address of AF_INET (`struct sockaddr_in`); port and address in network order.
    pub struct SockaddrIn {
        pub sin_family: u16,
        pub sin_port: [u8; 2],
        pub sin_addr: [u8; 4],
        pub pad: [u8; 8],
    }

    /// An address of AF_INET6 (`struct sockaddr_in6`); port, flow and address in network order.
    pub struct SockaddrIn6 {
        pub sin6_family: u16,
        pub sin6_port: [u8; 2],
        pub sin6_flowinfo: [u8; 4],
        pub sin6_addr: [u8; 16],
        pub sin6_scope_id: u32,
    }

    /// A message of sendmsg(2) and recvmsg(2) (`struct msghdr`): claimed addresses and lengths.
    pub struct Msghdr {
        pub msg_name: u64,
        pub msg_namelen: i32,
        pub pad: u32,
        pub msg_iov: u64,
        pub msg_iovlen: u64,
        pub msg_control: u64,
        pub msg_controllen: u64,
        pub msg_flags: u32,
        pub pad_end: u32,
    }

    /// One of sendmmsg(2)'s and recvmmsg(2)'s messages (`struct mmsghdr`).
    pub struct Mmsghdr {
        pub msg_hdr: Msghdr,
        pub msg_len: u32,
        pub pad: u32,
    }

    /// The head of a control message (`struct cmsghdr`); the next begins at a multiple of eight bytes.
    pub struct Cmsghdr {
        pub cmsg_len: u64,
        pub cmsg_level: i32,
        pub cmsg_type: i32,
    }

    /// Who is at the other end (`struct ucred`).
    pub struct Ucred {
        pub pid: i32,
        pub uid: u32,
        pub gid: u32,
    }

    /// The value of SO_LINGER, in seconds (`struct linger`).
    pub struct Linger {
        pub l_onoff: i32,
        pub l_linger: i32,
    }
}
