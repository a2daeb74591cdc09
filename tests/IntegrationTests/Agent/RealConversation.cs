using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using MediatR;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using VoicePlatform.Agent;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Agent.Worker;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Rtc;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Agent;

/// <summary>
/// A caller and the agent in a room of the embedded server: the worker is dispatched, everything that sounds goes over WebRTC, the
/// providers are the local ones. Only the Session module is played by the test.
/// </summary>
internal sealed class RealConversation : IMediator, IAsyncDisposable
{
    private const int FrameSamples = 320;
    private const string AgentIdentity = "assistant-ai-agent";

    private static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");

    private readonly CancellationTokenSource _over = new();
    private readonly Dictionary<int, SpokenLine> _lines = [];
    private readonly ConcurrentQueue<short[]> _toSay = new();
    private readonly ConcurrentDictionary<string, string> _texts = new();
    private readonly TaskCompletionSource<string> _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AssistantDocument _assistant;
    private readonly FliteSpeech _flite = new();
    private readonly PocketSphinxSpeech _sphinx = new(1, TimeProvider.System);
    private readonly ConcurrentBag<Task> _work = [];
    private EmbeddedServer _server = null!;
    private int _attended;
    private int _departures;
    private AgentService _agent = null!;
    private RtcRoom _room = null!;
    private AudioSource _microphone = null!;
    private int _quietFrames = 1000;
    private int _audibleFrames;

    private RealConversation(AssistantDocument assistant) => _assistant = assistant;

    /// <summary>Frames of 20 ms since the assistant was last audible at the caller's ear.</summary>
    public int QuietFrames => Volatile.Read(ref _quietFrames);

    /// <summary>Frames in which the assistant was audible.</summary>
    public int AudibleFrames => Volatile.Read(ref _audibleFrames);

    /// <summary>What the agent says its state is, as the room's other participants see it.</summary>
    public ConcurrentQueue<string> States { get; } = new();

    /// <summary>Why the session was finished.</summary>
    public Task<string> Finished => _finished.Task;

    public string[] Transcript
    {
        get
        {
            lock (_lines)
            {
                return [.. _lines.OrderBy(l => l.Key).Select(l => $"{(l.Value.Speaker is Speaker.Agent ? "A" : "U")}: {l.Value.Text}{(l.Value.Interrupted ? "*" : "")}")];
            }
        }
    }

    /// <summary>The transcript as shown in the room: sender and text.</summary>
    public IReadOnlyCollection<string> ShownTexts => [.. _texts.Values];

    public List<string> Notes { get; } = [];

    public static async Task<RealConversation> StartAsync(string greeting, object script, InterruptionSettings? interruption = null)
    {
        if ((FliteSpeech.Missing() ?? PocketSphinxSpeech.Missing()) is { } missing)
        {
            Assert.Ignore(missing);
        }

        var conversation = new RealConversation(new AssistantDocument
        {
            Name = "Test",
            Greeting = new Greeting { Text = greeting },
            Llm = new LanguageModelChoice { Model = "local/script", Options = JsonSerializer.SerializeToElement(script).Deserialize<Dictionary<string, JsonElement>>()! },
            Interruption = interruption ?? new InterruptionSettings(),
        });
        await conversation.ConnectAsync();
        return conversation;
    }

    public async Task SayAsync(string text)
    {
        await foreach (var audio in _flite.Voice("rms", 1).SpeakAsync(text, default))
        {
            Sound(audio.ToArray());
        }
    }

    public void Sound(short[] audio)
    {
        foreach (var frame in audio.Chunk(FrameSamples))
        {
            _toSay.Enqueue(frame);
        }
    }

    public Task WriteAsync(string text) => _room.LocalParticipant.SendTextAsync(text, new TextStreamOptions { Topic = "lk.chat" }, default);

    /// <summary>The server has the agent's client join anew, as after media that failed; ends when it is back.</summary>
    public async Task ReconnectAgentAsync()
    {
        var room = _server.Rooms.Find("room")!;
        await room.AskAsync(() => room.RemoveParticipant(AgentIdentity, DisconnectReason.StateMismatch, LeaveRequest.Types.Action.Reconnect), CancellationToken.None);
        await UntilAsync(() => Volatile.Read(ref _departures) > 0, () => "The agent did not go.");
        await UntilAsync(() => _room.RemoteParticipants.ContainsKey(AgentIdentity), () => "The agent did not come back.");
    }

    public Task HangUpAsync() => _room.DisconnectAsync(default);

    public static async Task UntilAsync(Func<bool> condition, Func<string> what, double seconds = 30)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.That(TimeProvider.System.GetElapsedTime(began).TotalSeconds, Is.LessThan(seconds), what);
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        }
    }

    /// <summary>Until the assistant has been heard again and has then been silent for a second.</summary>
    public async Task HearOutAsync()
    {
        var before = AudibleFrames;
        await UntilAsync(() => AudibleFrames > before + 10 && QuietFrames > 50, () => $"Nothing was heard to its end. {string.Join(" | ", Transcript)}");
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await Task.WhenAll(_work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _room.DisposeAsync();
        _microphone.Dispose();
        await _agent.StopAsync(default);
        _agent.Dispose();
        await _server.DisposeAsync();
        _flite.Dispose();
        _sphinx.Dispose();
        _over.Dispose();
    }

    Task<TResponse> IMediator.Send<TResponse>(IRequest<TResponse> request, CancellationToken cancellationToken) => Task.FromResult((TResponse)Answer(request));

    Task IMediator.Publish<TNotification>(TNotification notification, CancellationToken cancellationToken) =>
        throw new NotSupportedException("The agent announces nothing itself.");

    private object Answer(object request)
    {
        switch (request)
        {
            case AttendSession when Interlocked.Increment(ref _attended) > 1:
                return Result<ConversationPlan>.Failed(new Error(ErrorKind.Conflict, "session.attended", "An agent is there already."));
            case AttendSession attend:
                return Result<ConversationPlan>.Ok(new ConversationPlan(attend.SessionId, "tenant", "room", "caller", _assistant, new Dictionary<string, string>(), TimeSpan.FromMinutes(5)));
            case ReportProgress report:
                lock (_lines)
                {
                    foreach (var line in report.Lines)
                    {
                        _lines[line.Seq] = line;
                    }

                    Notes.AddRange(report.Notes.Select(n => n.Kind));
                }

                return Result<ReportAnswer>.Ok(new ReportAnswer(Continuation.GoOn));
            case FinishSession finish:
                _finished.TrySetResult(finish.Reason);
                return Result<Done>.Ok(default(Done)!);
            default:
                throw new NotSupportedException(request.GetType().Name);
        }
    }

    private async Task ConnectAsync()
    {
        var clock = TimeProvider.System;
        _server = new EmbeddedServer(
            new MediaServerOptions { ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret }, Bind = IPAddress.Loopback, Port = 0, MediaUdpPort = 0 }, clock, NullLoggerFactory.Instance);
        await _server.StartAsync(default);
        var livekit = LiveKitServer.Create(_server.Url.ToString(), Key);
        var options = new AgentOptions();
        options.Read(new ConfigurationBuilder().Build(), isDevelopment: true);
        var catalog = new ProviderCatalog(Options.Create(options), _sphinx, _flite, clock);
        var web = new ServiceCollection().AddHttpClient().BuildServiceProvider();
        var tools = new ToolBoxes(web.GetRequiredService<IHttpMessageHandlerFactory>(), clock, NullLogger<ToolBoxes>.Instance);
        var scopes = new ServiceCollection().AddSingleton<IMediator>(this).BuildServiceProvider().GetRequiredService<IServiceScopeFactory>();
        var registry = new ConversationRegistry(Options.Create(options));
        _agent = new AgentService(
            livekit, () => new AttendedRoom(Native.Engine, catalog, tools, scopes, clock, NullLoggerFactory.Instance), registry, _sphinx, Options.Create(options), clock, NullLoggerFactory.Instance);
        await _agent.StartAsync(default);

        var token = new AccessToken { Identity = "caller", Video = new VideoGrant { RoomJoin = true, Room = "room" } }.Sign(Key, clock.GetUtcNow());
        _room = await Native.Engine.ConnectAsync(_server.Url.ToString(), token, new RoomOptions(), default);
        _room.HandleTextStreams("lk.transcription", async (stream, ct) =>
            _texts[$"{stream.SenderIdentity} {stream.Attributes["lk.segment_id"]}"] = $"{stream.SenderIdentity}: {await stream.ReadAllAsync(10_000, ct)}");
        _microphone = Native.Engine.CreateAudioSource(new AudioSourceFormat(16_000, 1, 40));
        await _room.LocalParticipant.PublishAudioAsync(_microphone, new AudioPublishOptions { Name = "microphone" }, default);
        _work.Add(WatchAsync());
        _work.Add(SpeakAsync());
        using var http = new HttpClient();
        await new LiveKitApi(http, livekit, clock).Dispatches.CreateAsync(
            new CreateAgentDispatchRequest { Room = "room", AgentName = options.AgentName, Metadata = """{"session_id":"session"}""" }, default);
    }

    private async Task SpeakAsync()
    {
        var (noise, frame) = (new Random(1), new short[FrameSamples]);
        while (!_over.IsCancellationRequested)
        {
            var saying = _toSay.TryDequeue(out var next) ? next : [];
            for (var i = 0; i < frame.Length; i++)
            {
                frame[i] = (short)(noise.Next(-8, 9) + (i < saying.Length ? saying[i] : 0));
            }

            await _microphone.CaptureAsync(frame, CancellationToken.None);
        }
    }

    private async Task WatchAsync()
    {
        await foreach (var e in _room.ReadEventsAsync(_over.Token))
        {
            switch (e)
            {
                case RoomEvent.ParticipantDisconnected:
                    Interlocked.Increment(ref _departures);
                    break;
                case RoomEvent.AttributesChanged changed when changed.Changed.TryGetValue("lk.agent.state", out var state):
                    States.Enqueue(state);
                    break;
                case RoomEvent.TrackSubscribed subscribed:
                    _work.Add(HearAsync(subscribed.Track));
                    break;
            }
        }
    }

    private async Task HearAsync(RemoteTrack track)
    {
        using var stream = track.OpenAudio();
        var frame = new short[stream.Format.FrameLength];
        while (await stream.ReadAsync(frame, _over.Token) > 0)
        {
            if (frame.Any(s => Math.Abs((int)s) > 300))
            {
                Volatile.Write(ref _quietFrames, 0);
                Interlocked.Increment(ref _audibleFrames);
            }
            else
            {
                Interlocked.Increment(ref _quietFrames);
            }
        }
    }
}
