using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Net;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Media;

/// <summary>
/// RTP audio with telephones. Two threads for all calls: one receives, one keeps the pace. The pace is four turns in 20 ms, each for a
/// quarter of the calls, so that packets leave spread over time rather than in bursts; a turn first sends to all its phones, then does
/// what came from them.
/// </summary>
internal sealed partial class PhoneMedia : IAsyncDisposable
{
    private const int Turns = 4;
    private const long TurnNs = 5_000_000;
    private const int MaxBehindTurns = 40;          // 200 ms: more than that is not caught up with
    private const int MaxDatagram = 2_048;
    private const int PollMs = 100;
    private const int MaxRead = 16;                 // datagrams from one socket before the others have their turn

    private readonly PhoneMediaOptions _options;
    private readonly MediaClock _clock;
    private readonly ILogger _log;
    private readonly RtpPorts _ports;
    private readonly SocketPoll _poll = new();
    private readonly ConcurrentDictionary<long, PhoneSession> _sessions = new();
    private readonly Lock _turnsGate = new();       // guards the change of the lists below, which are replaced, never changed
    private readonly PhoneSession[][] _turns = [[], [], [], []];
    private long _lastId;
    private volatile bool _isStopping;
    private Thread? _receiver;
    private Thread? _pacer;
    private long _faults;
    private long _maxBehindNs;

    public PhoneMedia(PhoneMediaOptions options, TimeProvider clock, ILoggerFactory logs)
    {
        (_options, _clock) = (options, new MediaClock(clock));
        _log = logs.CreateLogger<PhoneMedia>();
        _ports = new RtpPorts(options.Bind, options.Ports);
    }

    public int Sessions => _sessions.Count;

    /// <summary>Exceptions caught at the threads' outer edge: each is a bug, and cost one call 20 ms or one packet.</summary>
    public long Faults => Volatile.Read(ref _faults);

    /// <summary>The longest that a turn began after its time.</summary>
    public TimeSpan MaxBehind => TimeSpan.FromTicks(Volatile.Read(ref _maxBehindNs) / 100);

    /// <summary>Loads the native libraries and starts the threads.</summary>
    /// <exception cref="PhoneMediaException">Says what is missing.</exception>
    public void Start()
    {
        if (_options.PublicAddress is null && (_options.Bind.Equals(IPAddress.Any) || _options.Bind.Equals(IPAddress.IPv6Any)))
        {
            throw new PhoneMediaException("The RTP ports are bound to all addresses: set EMBEDDED_PUBLIC_IP to the one that phones reach.");
        }

        LibOpus.Require();
        try
        {
            NativeLibraries.Load();
        }
        catch (TransportException e)
        {
            throw new PhoneMediaException(e.Message, e);
        }

        _receiver = new Thread(Receive) { IsBackground = true, Name = "phone receive" };
        _pacer = new Thread(Pace) { IsBackground = true, Name = "phone pace" };
        _receiver.Start();
        _pacer.Start();
        Started(_options.Bind, _options.Ports.First, _options.Ports.Last);
    }

    /// <summary>Takes ports for one call. Dispose the session when the call is over.</summary>
    /// <exception cref="PhoneMediaException">No port is free.</exception>
    public PhoneSession Open(PhoneSessionOptions options, IPhoneObserver observer)
    {
        ObjectDisposedException.ThrowIf(_isStopping, this);
        var sockets = _ports.Open();
        var id = Interlocked.Increment(ref _lastId);
        var session = new PhoneSession(this, id, sockets, _options, options, observer, _clock);
        _sessions[id] = session;
        try
        {
            _poll.Watch(sockets.Rtp, 2 * id);
            _poll.Watch(sockets.Rtcp, (2 * id) + 1);
        }
        catch (PhoneMediaException)
        {
            session.Dispose();
            throw;
        }

        lock (_turnsGate)
        {
            var least = 0;
            for (var i = 1; i < Turns; i++)
            {
                least = _turns[i].Length < _turns[least].Length ? i : least;
            }

            Volatile.Write(ref _turns[least], [.. _turns[least], session]);
        }

        return session;
    }

    public ValueTask DisposeAsync()
    {
        if (_isStopping)
        {
            return ValueTask.CompletedTask;
        }

        _isStopping = true;
        _receiver?.Join();
        _pacer?.Join();
        foreach (var (_, session) in _sessions)
        {
            session.Dispose();
        }

        _poll.Dispose();
        return ValueTask.CompletedTask;
    }

    internal void Remove(PhoneSession session)
    {
        _sessions.TryRemove(session.Id, out _);
        lock (_turnsGate)
        {
            for (var i = 0; i < Turns; i++)
            {
                if (_turns[i].Contains(session))
                {
                    Volatile.Write(ref _turns[i], [.. _turns[i].Where(s => s != session)]);
                }
            }
        }
    }

    private void Receive()
    {
        Pacing.Prefer();
        var buffer = GC.AllocateUninitializedArray<byte>(MaxDatagram, pinned: true);
        var from = new SocketAddress(_options.Bind.AddressFamily);
        Span<long> ids = stackalloc long[64];
        while (!_isStopping)
        {
            var count = _poll.Wait(ids, PollMs);
            foreach (var id in ids[..count])
            {
                if (_sessions.TryGetValue(id / 2, out var session))
                {
                    ReceiveOne(session, isRtcpPort: (id & 1) != 0, buffer, from);
                }
            }
        }
    }

    private void ReceiveOne(PhoneSession session, bool isRtcpPort, byte[] buffer, SocketAddress from)
    {
        try
        {
            var handle = isRtcpPort ? session.RtcpHandle : session.RtpHandle;
            for (var i = 0; i < MaxRead && SocketPoll.Receive(handle, buffer, from) is var length and >= 0; i++)
            {
                session.OnDatagram(buffer.AsSpan(0, length), from, isRtcpPort);
            }
        }
        catch (ObjectDisposedException)
        {
            // The call has ended.
        }
#pragma warning disable CA1031 // one call's fault must not end the audio of all
        catch (Exception e)
#pragma warning restore CA1031
        {
            OnFault(e);
        }
    }

    private void Pace()
    {
        Pacing.Prefer();
        var due = Stopwatch.GetTimestamp() + TurnNs;
        for (var turn = 0; !_isStopping; turn = (turn + 1) % Turns, due += TurnNs)
        {
            Pacing.SleepUntil(due);
            var behind = Stopwatch.GetTimestamp() - due;
            Volatile.Write(ref _maxBehindNs, Math.Max(_maxBehindNs, behind));
            if (behind > MaxBehindTurns * TurnNs)
            {
                due = Skip(due, behind);
            }

            Take(Volatile.Read(ref _turns[turn]), due);
        }
    }

    /// <summary>The machine stood still. Whole rounds are left out, so that every call misses the same.</summary>
    private long Skip(long due, long behind)
    {
        var rounds = (int)Math.Min(behind / (Turns * TurnNs), int.MaxValue);
        foreach (var (_, session) in _sessions)
        {
            session.Skip(rounds);
        }

        Stood(behind / 1_000_000);
        return due + (rounds * Turns * TurnNs);
    }

    private void Take(PhoneSession[] sessions, long due)
    {
        foreach (var session in sessions)
        {
            try
            {
                session.SendTick(due);
            }
#pragma warning disable CA1031 // one call's fault must not end the audio of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                OnFault(e);
            }
        }

        foreach (var session in sessions)
        {
            try
            {
                session.ReceiveTick();
            }
#pragma warning disable CA1031 // one call's fault must not end the audio of all
            catch (Exception e)
#pragma warning restore CA1031
            {
                OnFault(e);
            }
        }
    }

    private void OnFault(Exception fault)
    {
        // Every turn may repeat it: the first hundred tell enough.
        if (Interlocked.Increment(ref _faults) <= 100)
        {
            Fault(fault);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Telephone audio on UDP {Address}, ports {First} to {Last}.")]
    private partial void Started(IPAddress address, int first, int last);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Telephone audio stood still for {Milliseconds} ms: the machine gave it no time.")]
    private partial void Stood(long milliseconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "Telephone audio had a fault in one call.")]
    private partial void Fault(Exception fault);
}
