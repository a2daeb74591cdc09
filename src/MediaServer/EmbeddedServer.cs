using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Recording;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.ServerApi;
using VoicePlatform.MediaServer.Signal;
using VoicePlatform.MediaServer.Sip;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Webhooks;
using VoicePlatform.MediaServer.Workers;

namespace VoicePlatform.MediaServer;

/// <summary>
/// A LiveKit-compatible single-node server inside this process, on ports of its own. Clients, workers and server SDKs of LiveKit use
/// it unchanged.
/// </summary>
public sealed class EmbeddedServer : IHostedService, IAsyncDisposable
{
    /// <summary>The LiveKit version whose behaviour this server follows; clients decide by it what they may use.</summary>
    public const string CompatibleVersion = "1.13.5";

    private const int ProtocolVersion = 17;

    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WebStopTimeout = TimeSpan.FromSeconds(3);

    private readonly MediaServerOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILoggerFactory _logs;
    private readonly Task? _receiversListen;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ServerInfo _server = new()
    {
        Version = CompatibleVersion,
        Protocol = ProtocolVersion,
        AgentProtocol = 1,
        NodeId = Sid.Node(),
    };

    private MediaTransport? _transport;
    private WebhookSender? _webhooks;
    private AgentDispatcher? _agents;
    private readonly SipDirectory _telephones = new();
    private RoomDirectory? _rooms;
    private SipGateway? _gateway;
    private Recorder? _recorder;
    private WebApplication? _web;

    /// <param name="receiversListen">When it is over, webhooks can be received: those of before wait for it. Null: they can at once.</param>
    public EmbeddedServer(MediaServerOptions options, TimeProvider clock, ILoggerFactory logs, Task? receiversListen = null)
    {
        if (options.ApiKeys.Count == 0)
        {
            throw new ArgumentException("The embedded LiveKit server needs at least one API key.", nameof(options));
        }

        (_options, _clock, _logs, _receiversListen) = (options, clock, logs, receiversListen);
    }

    /// <summary>The port for signalling, server API and workers, once started.</summary>
    public int Port { get; private set; }

    /// <summary>The UDP port for media, once started.</summary>
    public int MediaUdpPort => _transport?.UdpPort ?? 0;

    /// <summary>The UDP and TCP port for SIP, once started; 0 without telephony.</summary>
    public int SipPort => _gateway?.Port ?? 0;

    /// <summary>What clients and workers connect to, once started.</summary>
    public Uri Url
    {
        get
        {
            // "Any address" is none that could be connected to.
            var isAny = _options.Bind.Equals(IPAddress.Any) || _options.Bind.Equals(IPAddress.IPv6Any);
            return new UriBuilder("ws", (isAny ? IPAddress.Loopback : _options.Bind).ToString(), Port).Uri;
        }
    }

    /// <summary>Telephones in rooms now.</summary>
    public int Telephones => _gateway?.Calls ?? 0;

    internal IReadOnlyList<PhoneStatistics> TelephoneStatistics => _gateway?.Statistics ?? [];

    internal RoomDirectory Rooms => _rooms ?? throw new InvalidOperationException("The server is not started.");

    internal MediaTransport Transport => _transport ?? throw new InvalidOperationException("The server is not started.");

    internal WebhookSender Webhooks => _webhooks ?? throw new InvalidOperationException("The server is not started.");

    /// <summary>Opens the ports.</summary>
    /// <exception cref="InvalidOperationException">A port is taken, or a system library is missing: one sentence that says what to do.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await OpenAsync(cancellationToken);
        }
        catch (Exception e)
        {
            // Nothing stays half open.
            await StopAsync(CancellationToken.None);
            throw e switch
            {
                TransportException or SipException or PhoneMediaException => new InvalidOperationException(e.Message, e),
                IOException { InnerException: Microsoft.AspNetCore.Connections.AddressInUseException or SocketException } => new InvalidOperationException(
                    $"Port {_options.Port} of {_options.Bind} is taken: set EMBEDDED_LIVEKIT_PORT to a free port, or end what uses it.",
                    e),
                _ => e,
            };
        }
    }

    /// <summary>Tells every participant that the server goes away, delivers what webhooks it can, and closes the ports.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        // Telephones are hung up while their rooms can still be told.
        if (Interlocked.Exchange(ref _gateway, null) is { } gateway)
        {
            await gateway.DisposeAsync();
        }

        if (Interlocked.Exchange(ref _web, null) is { } web)
        {
            await _rooms!.DisposeAsync();
            await (_recorder?.DisposeAsync() ?? ValueTask.CompletedTask);
            await _agents!.DisposeAsync();
            await _webhooks!.DisposeAsync();
            await _stopping.CancelAsync();
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(WebStopTimeout);
            await web.StopAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await web.DisposeAsync();
        }

        if (Interlocked.Exchange(ref _transport, null) is { } transport)
        {
            await transport.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        _stopping.Dispose();
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        _transport = new MediaTransport(
            new TransportOptions { Bind = _options.Bind, UdpPort = _options.MediaUdpPort, PublicAddress = _options.PublicAddress },
            _clock,
            _logs);
        _transport.Start();
        _webhooks = new WebhookSender(_options, _clock, _logs.CreateLogger<WebhookSender>(), _receiversListen);
        _agents = new AgentDispatcher(_options, _clock, _logs.CreateLogger<AgentDispatcher>());
        _rooms = new RoomDirectory(new RoomServices(_options, _clock, _logs, _transport, _webhooks, _agents, _server));
        if (_options.Recordings is { } recordings)
        {
            _recorder = new Recorder(recordings, _webhooks, _clock, _logs.CreateLogger<Recorder>());
            _recorder.Start();
        }

        if (_options.Sip is { } sip)
        {
            _gateway = new SipGateway(
                new UserAgentOptions { Bind = _options.Bind, Port = sip.Port, PublicAddress = _options.PublicAddress },
                new PhoneMediaOptions { Bind = _options.Bind, PublicAddress = _options.PublicAddress, Ports = sip.RtpPorts },
                _rooms,
                _telephones,
                _clock,
                _logs);
            _gateway.Start();
        }

        _web = BuildWeb();
        await _web.StartAsync(cancellationToken);
        var address = _web.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Port = new Uri(address).Port;
    }

    private WebApplication BuildWeb()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(_options.Bind, _options.Port);
            kestrel.Limits.MaxRequestBodySize = Limits.RequestBytes;
            kestrel.Limits.MaxConcurrentConnections = Limits.Connections;
            kestrel.Limits.MaxConcurrentUpgradedConnections = Limits.Connections;
            kestrel.Limits.RequestHeadersTimeout = HeadersTimeout;

            // The first offer travels in the query of the join request.
            kestrel.Limits.MaxRequestLineSize = 256 * 1024;
            kestrel.Limits.MaxRequestBufferSize = 512 * 1024;
            kestrel.Limits.MaxRequestHeadersTotalSize = 128 * 1024;
        });
        builder.Services.AddSingleton<ILoggerFactory>(new WarningsOnly(_logs));
        builder.Services.AddRoutingCore();
        var web = builder.Build();
        web.UseWebSockets();
        web.Use(AllowBrowsersAsync);
        Map(web);
        return web;
    }

    private void Map(WebApplication web)
    {
        var callers = new Callers(_options, _clock);
        var signal = new SignalEndpoint(_rooms!, callers, _options, _clock, _logs);
        var workers = new WorkerEndpoint(_agents!, callers, _server, _clock, _logs);
        var egress = new EgressApi(_rooms!, _recorder, _clock);
        var api = new TwirpEndpoint(
            [
                new RoomApi(_rooms!, egress, _options, _clock).ToService(),
                new AgentDispatchApi(_rooms!, _agents!).ToService(),
                egress.ToService(),
                new SipApi(_telephones, _gateway, _clock).ToService(),
            ],
            callers,
            _logs.CreateLogger<TwirpEndpoint>());
        web.Map("/rtc/v1", (HttpContext context) => signal.ConnectAsync(context, _stopping.Token));
        web.Map("/rtc/v1/validate", (HttpContext context) => signal.ValidateAsync(context, needsRequest: true));
        web.Map("/rtc/validate", (HttpContext context) => signal.ValidateAsync(context, needsRequest: false));
        web.Map("/rtc", SignalEndpoint.RefuseOldClientAsync);
        web.Map("/agent", (HttpContext context) => workers.ConnectAsync(context, _stopping.Token));
        web.Map("/twirp/{**path}", api.HandleAsync);
        web.MapGet("/", (HttpContext context) => context.Response.WriteAsync("OK", context.RequestAborted));
    }

    /// <summary>Browsers call from pages of any origin; what protects is the token.</summary>
    private static Task AllowBrowsersAsync(HttpContext context, RequestDelegate next)
    {
        var headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = "*";
        if (!HttpMethods.IsOptions(context.Request.Method))
        {
            return next(context);
        }

        headers.AccessControlAllowMethods = "GET, POST, OPTIONS";
        headers.AccessControlAllowHeaders = "*, Authorization, Content-Type";
        headers.AccessControlMaxAge = "86400";
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }
}

/// <summary>Puts the embedded server into a host.</summary>
public static class EmbeddedServerRegistration
{
    /// <summary>
    /// Starts and stops the server with the host. Its webhooks wait until the host has started: they may be for the host itself, which
    /// opens its own port last, and a server that starts again has something to tell at once.
    /// </summary>
    public static IServiceCollection AddEmbeddedLiveKit(this IServiceCollection services, MediaServerOptions options)
    {
        services.AddSingleton(provider =>
        {
            var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            provider.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(started.SetResult);
            return new EmbeddedServer(
                options,
                provider.GetService<TimeProvider>() ?? TimeProvider.System,
                provider.GetRequiredService<ILoggerFactory>(),
                started.Task);
        });
        services.AddHostedService(provider => provider.GetRequiredService<EmbeddedServer>());
        return services;
    }
}
