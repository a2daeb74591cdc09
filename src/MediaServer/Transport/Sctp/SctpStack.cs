using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace VoicePlatform.MediaServer.Transport.Sctp;

/// <summary>
/// usrsctp without its threads. It is one per process, so every call into it is made under <see cref="Gate"/>.
/// </summary>
/// <remarks>
/// Lock order: Gate, then a peer's DTLS lock (taken in the output callback to encrypt). Nobody may call in here while holding a
/// peer's lock.
/// </remarks>
internal static unsafe class SctpStack
{
    public static readonly Lock Gate = new();

    private const int TickMs = 10;
    private const int MaxElapsedMs = 1_000;

    // Of one association: its buffer is to be the limit, not their number.
    private const uint MaxChunks = 16_384;

    private static readonly ConcurrentDictionary<nint, SctpAssociation> s_associations = new();
    private static long s_lastAddress;
    private static bool s_isStarted;
    private static long s_lastTick;

    /// <summary>Loads the library, once per process.</summary>
    public static void Start()
    {
        lock (Gate)
        {
            if (s_isStarted)
            {
                return;
            }

            UsrSctp.usrsctp_init_nothreads(0, &Output, 0);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_ecn_enable(0);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_asconf_enable(0);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_auth_enable(0);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_pktdrop_enable(0);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_rto_min_default(200);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_rto_initial_default(1_000);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_rto_max_default(10_000);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_init_rto_max_default(10_000);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_nr_outgoing_streams_default(SctpAssociation.MaxStreams);
            _ = UsrSctp.usrsctp_sysctl_set_sctp_max_chunks_on_queue(MaxChunks);
            s_isStarted = true;
        }
    }

    /// <summary>Runs the library's timers. Several transports in one process may call it: the time that passed is counted once.</summary>
    public static void Tick(long nowMs)
    {
        lock (Gate)
        {
            // A long pause of the process is not made up for: every peer's timers would run out at once.
            var elapsed = Math.Min(nowMs - s_lastTick, MaxElapsedMs);
            if (elapsed >= TickMs)
            {
                s_lastTick = nowMs;
                UsrSctp.usrsctp_handle_timers((uint)elapsed);
            }
        }
    }

    internal static nint Register(SctpAssociation association)
    {
        var address = (nint)Interlocked.Increment(ref s_lastAddress);
        s_associations[address] = association;
        UsrSctp.usrsctp_register_address(address);
        return address;
    }

    internal static void Deregister(nint address)
    {
        UsrSctp.usrsctp_deregister_address(address);
        s_associations.TryRemove(address, out _);
    }

    [UnmanagedCallersOnly]
    private static int Output(nint address, byte* packet, nuint length, byte tos, byte doNotFragment)
    {
        // A packet of an association that is gone is nobody's loss.
        if (s_associations.TryGetValue(address, out var association))
        {
            association.Output(new ReadOnlySpan<byte>(packet, (int)length));
        }

        return 0;
    }
}
