using Microsoft.Extensions.Logging;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Sip.Signalling;

/// <summary>
/// A SIP user agent (RFC 3261): places and takes calls, registers, pings. It knows nothing of media or rooms: SDP is opaque to it.
/// Proxies, redirection and reliable provisional responses (RFC 3262) are not offered.
/// </summary>
/// <remarks>
/// One thread receives UDP, a task each connection. They only read the message and hand it to the queue of the call it belongs to;
/// strangers are answered there and then, without state.
/// </remarks>
internal sealed partial class UserAgent : IAsyncDisposable
{
    private readonly UserAgentOptions _options;
    private readonly TimeProvider _clock;
    private readonly SipStack _stack;
    private readonly MessageRouter _router;
    private readonly ILogger _log;
    private readonly HashSet<Registration> _registrations = [];       // under its own lock
    private bool _isStarted;

    public UserAgent(UserAgentOptions options, IIncomingCalls incoming, TimeProvider clock, ILoggerFactory logs)
    {
        (_options, _clock, _log) = (options, clock, logs.CreateLogger<UserAgent>());
        _router = new MessageRouter(incoming, _log);
        _stack = new SipStack(options, _router, clock, _log);
        _router.Attach(_stack);
    }

    /// <summary>UDP and TCP, once started.</summary>
    public int Port => _stack.Network.Port;

    /// <summary>Null: there is no TLS listener.</summary>
    public int? TlsPort => _stack.Network.TlsPort;

    /// <summary>Calls under way.</summary>
    public int CallCount => _stack.Calls.Count;

    public UserAgentCounters Counters => _stack.Counters;

    /// <summary>Connections and transactions that are kept, for tests of leaks.</summary>
    internal (int Connections, int Clients, int Servers) Kept => (_stack.Network.ConnectionCount, _stack.Clients.Count, _stack.Servers.Count);

    /// <summary>Binds the ports and starts to listen.</summary>
    /// <exception cref="TransportException">Says in one sentence which port is in the way.</exception>
    public void Start()
    {
        _stack.Network.Start();
        _isStarted = true;
        Started(_options.Bind, Port);
    }

    /// <summary>Places a call. Returns at once; how it goes is told by <see cref="OutgoingCall.Outcome"/> and the observer.</summary>
    /// <exception cref="SipException">A header cannot be sent.</exception>
    public OutgoingCall Invite(OutgoingInvite invite, ICallObserver observer)
    {
        CallHeaders.Check(invite.Headers);
        var call = new OutgoingCall(_stack, invite, observer);
        if (!_isStarted || _stack.IsStopping)
        {
            call.Fail(UnreachableKind.Local, "The SIP user agent has stopped.");
        }
        else if (_stack.Calls.Count >= _options.MaxCalls)
        {
            call.Fail(UnreachableKind.Local, $"The SIP user agent has {_options.MaxCalls} calls already.");
        }
        else
        {
            _stack.Calls[(call.CallId, call.LocalTag)] = call;
            call.Start();
        }

        return call;
    }

    /// <summary>Registers and keeps registered until disposed.</summary>
    public Registration Register(RegistrationOptions registration)
    {
        var registering = new Registration(_stack, registration, Forget);
        lock (_registrations)
        {
            _registrations.Add(registering);
        }

        registering.Start();
        return registering;
    }

    /// <summary>Asks a peer by OPTIONS whether it is there. Any response proves that; silence is waited for no longer than 32 s.</summary>
    public Task<SipResponseSummary> PingAsync(SipUri target, SipTransport? transport, CancellationToken ct) => PingAsync(target, transport, username: null, password: null, ct);

    public Task<SipResponseSummary> PingAsync(SipUri target, SipTransport? transport, string? username, string? password, CancellationToken ct) =>
        new Ping(_stack, target, transport, new DigestClient(username, password)).RunAsync(ct);

    /// <summary>Hangs up all calls and removes all registrations, waiting no longer than <see cref="UserAgentOptions.StopTimeout"/> for either.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stack.IsStopping)
        {
            return;
        }

        _stack.IsStopping = true;
        List<Registration> registrations;
        lock (_registrations)
        {
            registrations = [.. _registrations];
        }

        if (_isStarted)
        {
            var ends = _stack.Calls.Values.Select(c => c.StopAsync()).Concat(registrations.Select(r => r.DisposeAsync().AsTask()));
            await Task.WhenAll(ends).WaitAsync(_options.StopTimeout, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _stack.Network.DisposeAsync();
        await _router.DisposeAsync();
    }

    private void Forget(Registration registration)
    {
        lock (_registrations)
        {
            _registrations.Remove(registration);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "SIP on {Address}:{Port}, UDP and TCP.")]
    private partial void Started(System.Net.IPAddress address, int port);
}
