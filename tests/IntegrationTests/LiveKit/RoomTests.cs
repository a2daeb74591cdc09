using System.Net;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Rtc;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer;

namespace VoicePlatform.IntegrationTests.LiveKit;

/// <summary>Two participants of this process, through LiveKit's client library and the embedded server.</summary>
[RealTime]
internal sealed class RoomTests
{
    private static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");

    private readonly string _room = "room-" + Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString("N");
    private readonly CancellationTokenSource _late = new(TimeSpan.FromSeconds(30), TimeProvider.System);
    private EmbeddedServer _server = null!;

    private CancellationToken Patience => _late.Token;

    [SetUp]
    public async Task StartServer()
    {
        _ = Native.Engine;
        var options = new MediaServerOptions
        {
            ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
            Bind = IPAddress.Loopback,
            Port = 0,
            MediaUdpPort = 0,
        };
        _server = new EmbeddedServer(options, TimeProvider.System, NullLoggerFactory.Instance);
        await _server.StartAsync(Patience);
    }

    [TearDown]
    public async Task StopServer()
    {
        await _server.DisposeAsync();
        _late.Dispose();
    }

    [Test]
    public async Task A_tone_published_by_one_is_heard_by_the_other()
    {
        await using var speaker = await JoinAsync("speaker");
        await using var listener = await JoinAsync("listener");
        using var source = Native.Engine.CreateAudioSource(new AudioSourceFormat(24_000));
        var track = await speaker.LocalParticipant.PublishAudioAsync(source, new AudioPublishOptions { Name = "voice" }, Patience);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Patience);
        var playing = PlayAsync(source, 440, stop.Token);

        var subscribed = await NextAsync<RoomEvent.TrackSubscribed>(listener);
        Assert.That((subscribed.Participant.Identity, subscribed.Track.Sid, subscribed.Publication.Name), Is.EqualTo(("speaker", track.Sid, "voice")));
        using var stream = subscribed.Track.OpenAudio();
        var heard = await HearAsync(stream, TimeSpan.FromSeconds(3));

        Assert.That(Tone.Share(heard.AsSpan(heard.Length - 16_000), 440, 16_000), Is.GreaterThan(0.9));
        Assert.That(Tone.Share(heard.AsSpan(heard.Length - 16_000), 880, 16_000), Is.LessThan(0.01));
        Assert.That(stream.DroppedFrames, Is.Zero);
        await stop.CancelAsync();
        await playing;
        await track.UnpublishAsync(Patience);
        Assert.That((await NextAsync<RoomEvent.TrackUnpublished>(listener)).Publication.Sid, Is.EqualTo(track.Sid));
    }

    [Test]
    public async Task Texts_are_sent_whole_and_piece_by_piece()
    {
        await using var sender = await JoinAsync("sender");
        await using var receiver = await JoinAsync("receiver");
        var received = Channel.CreateBounded<(IncomingTextStream Stream, string Text)>(8);
        foreach (var topic in new[] { "lk.chat", "lk.transcription" })
        {
            receiver.HandleTextStreams(topic, async (stream, ct) => await received.Writer.WriteAsync((stream, await stream.ReadAllAsync(100_000, ct)), ct));
        }

        var sent = await sender.LocalParticipant.SendTextAsync("Grüße 👋", new TextStreamOptions { Topic = "lk.chat", ReplyToStreamId = "before" }, Patience);
        var (chat, text) = await received.Reader.ReadAsync(Patience);
        Assert.That((text, chat.StreamId, chat.SenderIdentity, chat.ReplyToStreamId), Is.EqualTo(("Grüße 👋", sent, "sender", "before")));

        var options = new TextStreamOptions
        {
            Topic = "lk.transcription",
            StreamId = "segment-1",
            Attributes = new Dictionary<string, string> { ["lk.transcription_final"] = "true" },
        };
        await using (var writer = await sender.LocalParticipant.OpenTextStreamAsync(options, Patience))
        {
            await writer.WriteAsync("one ", Patience);
            await writer.WriteAsync("two", Patience);
        }

        var (transcription, whole) = await received.Reader.ReadAsync(Patience);
        Assert.That((whole, transcription.StreamId), Is.EqualTo(("one two", "segment-1")));
        Assert.That(transcription.Attributes["lk.transcription_final"], Is.EqualTo("true"));
    }

    [Test]
    public async Task A_long_text_arrives_unharmed()
    {
        await using var sender = await JoinAsync("sender");
        await using var receiver = await JoinAsync("receiver");
        var received = new TaskCompletionSource<string>();
        receiver.HandleTextStreams("long", async (stream, ct) => received.SetResult(await stream.ReadAllAsync(1_000_000, ct)));
        var random = new Random(4);
        var text = string.Concat(Enumerable.Range(0, 60_000).Select(_ => (char)random.Next('a', 'z')));

        await sender.LocalParticipant.SendTextAsync(text, new TextStreamOptions { Topic = "long" }, Patience);

        Assert.That(await received.Task.WaitAsync(Patience), Is.EqualTo(text));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task Data_arrives(bool reliable)
    {
        await using var sender = await JoinAsync("sender");
        await using var receiver = await JoinAsync("receiver");

        var next = NextAsync<RoomEvent.DataReceived>(receiver);
        do
        {
            await sender.LocalParticipant.PublishDataAsync(Encoding.UTF8.GetBytes("hello"), reliable, "greeting", ["receiver"], Patience);

            // Lossy data is lost until the receiver's media connection stands.
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Patience);
        }
        while (!reliable && !next.IsCompleted);

        var data = await next;
        Assert.That(Encoding.UTF8.GetString(data.Data.Span), Is.EqualTo("hello"));
        Assert.That((data.SenderIdentity, data.Topic, data.Reliable), Is.EqualTo(("sender", "greeting", reliable)));
    }

    [Test]
    public async Task Remote_methods_answer_and_refuse()
    {
        await using var caller = await JoinAsync("caller");
        await using var answerer = await JoinAsync("answerer");
        answerer.LocalParticipant.RegisterRpcMethod("double", (call, _) => Task.FromResult($"{call.Payload}{call.Payload} for {call.CallerIdentity}"));
        answerer.LocalParticipant.RegisterRpcMethod("refuse", (_, _) => throw new RpcException(42, "not today", "why"));
        answerer.LocalParticipant.RegisterRpcMethod("break", (_, _) => throw new InvalidOperationException("secret"));

        Assert.That(await CallAsync(caller, "double"), Is.EqualTo("xx for caller"));
        var refused = Assert.ThrowsAsync<RpcException>(() => CallAsync(caller, "refuse"))!;
        Assert.That((refused.Code, refused.Message, refused.ErrorData), Is.EqualTo((42U, "not today", "why")));
        var broken = Assert.ThrowsAsync<RpcException>(() => CallAsync(caller, "break"))!;
        Assert.That(broken.Code, Is.EqualTo(RpcErrorCode.ApplicationError));
        Assert.That(broken.Message, Does.Not.Contain("secret"));
        Assert.That(Assert.ThrowsAsync<RpcException>(() => CallAsync(caller, "unheard of"))!.Code, Is.EqualTo(RpcErrorCode.UnsupportedMethod));
    }

    [Test]
    public async Task Attributes_metadata_and_names_are_seen_by_the_other()
    {
        await using var agent = await JoinAsync("agent", new AccessToken { Kind = "agent", Attributes = new Dictionary<string, string> { ["a"] = "1" } });
        await using var other = await JoinAsync("other");
        Assert.That(other.RemoteParticipants["agent"].Kind, Is.EqualTo(ParticipantInfo.Types.Kind.Agent));

        await agent.LocalParticipant.SetAttributesAsync(new Dictionary<string, string> { ["lk.agent.state"] = "listening" }, Patience);
        var changed = await NextAsync<RoomEvent.AttributesChanged>(other);
        Assert.That((changed.Participant.Identity, changed.Changed["lk.agent.state"]), Is.EqualTo(("agent", "listening")));
        Assert.That(changed.Participant.Attributes, Is.EquivalentTo(new Dictionary<string, string> { ["a"] = "1", ["lk.agent.state"] = "listening" }));

        await agent.LocalParticipant.SetMetadataAsync("m", Patience);
        Assert.That((await NextAsync<RoomEvent.ParticipantMetadataChanged>(other)).Metadata, Is.EqualTo("m"));
        await agent.LocalParticipant.SetNameAsync("Ada", Patience);
        Assert.That((await NextAsync<RoomEvent.ParticipantNameChanged>(other)).Name, Is.EqualTo("Ada"));
    }

    [Test]
    public async Task Leaving_is_seen_with_its_reason()
    {
        var leaver = await JoinAsync("leaver");
        await using var other = await JoinAsync("other");

        await leaver.DisposeAsync();

        Assert.That(await leaver.Ended, Is.EqualTo(DisconnectReason.ClientInitiated));
        var left = await NextAsync<RoomEvent.ParticipantDisconnected>(other);
        Assert.That((left.Participant.Identity, left.Reason), Is.EqualTo(("leaver", DisconnectReason.ClientInitiated)));
        Assert.That(other.RemoteParticipants, Is.Empty);
    }

    [Test]
    public async Task A_removed_participant_and_a_deleted_room_know_why()
    {
        await using var removed = await JoinAsync("removed");
        await using var other = await JoinAsync("other");
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(_server.Url.ToString(), Key), TimeProvider.System);

        await api.Rooms.RemoveParticipantAsync(_room, "removed", Patience);
        Assert.That(await removed.Ended.WaitAsync(Patience), Is.EqualTo(DisconnectReason.ParticipantRemoved));
        Assert.That((await NextAsync<RoomEvent.Disconnected>(removed)).Reason, Is.EqualTo(DisconnectReason.ParticipantRemoved));
        await NextAsync<RoomEvent.Ended>(removed);

        await api.Rooms.DeleteAsync(_room, Patience);
        Assert.That(await other.Ended.WaitAsync(Patience), Is.EqualTo(DisconnectReason.RoomDeleted));
    }

    [Test]
    public async Task A_second_one_with_the_same_identity_takes_its_place()
    {
        await using var first = await JoinAsync("twin");
        await using var second = await JoinAsync("twin");

        Assert.That(await first.Ended.WaitAsync(Patience), Is.EqualTo(DisconnectReason.DuplicateIdentity));
        Assert.That(second.Ended.IsCompleted, Is.False);
    }

    [Test]
    public void A_wrong_token_is_refused_with_a_clear_error()
    {
        var token = new AccessToken { Identity = "x", Video = new VideoGrant { RoomJoin = true, Room = _room } }
            .Sign(Key with { Secret = "another secret of thirty-two bytes!" }, TimeProvider.System.GetUtcNow());

        var e = Assert.ThrowsAsync<RtcException>(() => Native.Engine.ConnectAsync(_server.Url.ToString(), token, new RoomOptions { JoinRetries = 0 }, Patience))!;
        Assert.That(e.Message, Does.StartWith("The room could not be joined:").And.Contain("401"));
    }

    private static async Task PlayAsync(AudioSource source, double hertz, CancellationToken cancellationToken)
    {
        for (var at = 0; !cancellationToken.IsCancellationRequested; at += 480)
        {
            await source.CaptureAsync(Tone.Make(hertz, 24_000, 480, at), CancellationToken.None);
        }
    }

    private async Task<short[]> HearAsync(RemoteAudioStream stream, TimeSpan duration)
    {
        var heard = new short[(int)(duration.TotalSeconds * stream.Format.SampleRate)];
        var frame = new short[stream.Format.FrameLength];
        for (var at = 0; at < heard.Length;)
        {
            var length = await stream.ReadAsync(frame, Patience);
            Assert.That(length, Is.EqualTo(320));
            frame.CopyTo(heard, at);
            at += length;
        }

        return heard;
    }

    private Task<string> CallAsync(RtcRoom caller, string method) =>
        caller.LocalParticipant.PerformRpcAsync("answerer", method, "x", TimeSpan.FromSeconds(5), Patience);

    private async Task<T> NextAsync<T>(RtcRoom room)
        where T : RoomEvent
    {
        await foreach (var roomEvent in room.ReadEventsAsync(Patience))
        {
            if (roomEvent is T wanted)
            {
                return wanted;
            }
        }

        throw new InvalidOperationException($"The room ended without {typeof(T).Name}.");
    }

    private async Task<RtcRoom> JoinAsync(string identity, AccessToken? claims = null)
    {
        var token = (claims ?? new AccessToken()) with
        {
            Identity = identity,
            Video = new VideoGrant { RoomJoin = true, Room = _room, CanUpdateOwnMetadata = true },
        };
        return await Native.Engine.ConnectAsync(
            _server.Url.ToString(), token.Sign(Key, TimeProvider.System.GetUtcNow()), new RoomOptions { JoinRetries = 0 }, Patience);
    }
}
