using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Sctp;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>Where data messages go and who they say they are from. The receivers' channels are not open, so all waits in their outboxes.</summary>
internal sealed class RoomDataTests
{
    [Test]
    public async Task A_message_goes_to_everybody_else_in_the_senders_true_name()
    {
        await using var talk = await Talk.StartAsync();
        await talk.SendAsync("alice", new DataPacket { ParticipantIdentity = "bob", ParticipantSid = "PA_x", User = new UserPacket { Payload = ByteString.CopyFromUtf8("hi"), ParticipantIdentity = "carol" } });
        Assert.That(await talk.ReceivedAsync("alice"), Is.Empty);
        foreach (var receiver in new[] { "bob", "agent" })
        {
            var received = (await talk.ReceivedAsync(receiver)).Single();
            Assert.That((received.ParticipantIdentity, received.User.ParticipantIdentity), Is.EqualTo(("alice", "alice")));
            Assert.That(received.ParticipantSid, Does.StartWith("PA_").And.Not.EqualTo("PA_x"));
        }
    }

    [Test]
    public async Task Only_an_agent_may_speak_for_somebody_else()
    {
        await using var talk = await Talk.StartAsync();
        var header = new DataStream.Types.Header { StreamId = "s", Topic = "lk.transcription" };
        await talk.SendAsync("agent", new DataPacket { ParticipantIdentity = "alice", StreamHeader = header });
        await talk.SendAsync("alice", new DataPacket { ParticipantIdentity = "agent", StreamHeader = header });
        Assert.That((await talk.ReceivedAsync("bob")).Select(p => p.ParticipantIdentity), Is.EqualTo(new[] { "alice", "alice" }));
    }

    [Test]
    public async Task Destinations_are_honoured_new_style_and_old()
    {
        await using var talk = await Talk.StartAsync();
        var bobSid = await talk.AskAsync(room => room.Find("bob")!.Sid);
        await talk.SendAsync("alice", new DataPacket { DestinationIdentities = { "agent" }, User = new UserPacket() });
        await talk.SendAsync("alice", new DataPacket { User = new UserPacket { DestinationSids = { bobSid } } });
        await talk.SendAsync("alice", new DataPacket { User = new UserPacket { DestinationSids = { "PA_gone" } } });
        Assert.That(await talk.ReceivedAsync("bob"), Has.Count.EqualTo(1));
        Assert.That(await talk.ReceivedAsync("agent"), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Who_may_not_publish_data_and_what_only_a_server_says_is_not_forwarded()
    {
        await using var talk = await Talk.StartAsync();
        await talk.SendAsync("mute", new DataPacket { User = new UserPacket() });
        await talk.SendAsync("alice", new DataPacket { Speaker = new ActiveSpeakerUpdate() });
        Assert.That(await talk.ReceivedAsync("bob"), Is.Empty);
    }

    [Test]
    public async Task A_sender_that_resumed_may_repeat_itself_and_a_receiver_gets_what_it_missed()
    {
        await using var talk = await Talk.StartAsync();
        foreach (var sequence in new uint[] { 1, 2, 2, 1, 3 })
        {
            await talk.SendAsync("alice", new DataPacket { Sequence = sequence, User = new UserPacket() });
        }

        Assert.That((await talk.ReceivedAsync("bob")).Select(p => p.Sequence), Is.EqualTo(new uint[] { 1, 2, 3 }));
        await using var back = await talk.ResumeAsync("bob", new DataChannelReceiveState { PublisherSid = await talk.AskAsync(room => room.Find("alice")!.Sid), LastSeq = 1 });
        await back.NextAsync(SignalResponse.MessageOneofCase.Reconnect);
        await TestServer.Until(() => talk.ReceivedAsync("bob").GetAwaiter().GetResult().Count == 5, "the replay");
        Assert.That((await talk.ReceivedAsync("bob")).Skip(3).Select(p => p.Sequence), Is.EqualTo(new uint[] { 2, 3 }));
    }

    [Test]
    public async Task Random_bytes_are_counted_and_take_nothing_down()
    {
        await using var talk = await Talk.StartAsync();
        var random = new Random(3);
        var valid = new DataPacket { Sequence = 1, DestinationIdentities = { "bob" }, RpcResponse = new RpcResponse { RequestId = "x", Payload = "y" } }.ToByteArray();
        for (var i = 0; i < 500; i++)
        {
            var bytes = (byte[])valid.Clone();
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            await talk.SendAsync("alice", bytes);
        }

        await talk.SendAsync("alice", new DataPacket { Sequence = uint.MaxValue, User = new UserPacket { Payload = ByteString.CopyFromUtf8("end") } });
        Assert.That((await talk.ReceivedAsync("bob")).Count, Is.GreaterThan(0));
        Assert.That(talk.Room.DroppedData, Is.GreaterThan(0));
    }

    [Test]
    public async Task A_message_that_no_channel_takes_is_dropped_and_holds_up_none_after_it()
    {
        await using var talk = await Talk.StartAsync();
        var large = new DataPacket { User = new UserPacket { Payload = ByteString.CopyFrom(new byte[SctpAssociation.MaxMessage - 32]) } };
        Assert.That(large.CalculateSize(), Is.LessThanOrEqualTo(SctpAssociation.MaxMessage), "as its sender may send it");
        await talk.SendAsync("alice", large);
        await talk.SendAsync("alice", new DataPacket { User = new UserPacket { Payload = ByteString.CopyFrom(new byte[400_000]) } });
        await talk.SendAsync("alice", new DataPacket { User = new UserPacket { Payload = ByteString.CopyFromUtf8("next") } });
        Assert.That((await talk.ReceivedAsync("bob")).Select(p => p.User.Payload.ToStringUtf8()), Is.EqualTo(new[] { "next" }));
        Assert.That(talk.Room.DroppedData, Is.EqualTo(2));
    }

    [Test]
    public async Task A_channel_whose_opening_was_not_reported_is_noticed()
    {
        await using var talk = await Talk.StartAsync();
        var peer = new OpenPeer();
        await talk.AskAsync(room => room.Find("bob")!.Peer = peer);
        await talk.SendAsync("alice", new DataPacket { User = new UserPacket() });
        await TestServer.Until(() => peer.Received == 1, "the room looks on its tick");
    }

    [Test]
    public void An_outbox_drops_the_oldest_before_its_channel_opened_and_refuses_after()
    {
        var outbox = new Outbox();
        for (var i = 0; i < 6; i++)
        {
            Assert.That(outbox.Send(null!, new byte[(1024 * 1024) - Limits.MessageOverhead]), Is.True);
        }

        Assert.That((outbox.Waiting.Count, outbox.Dropped), Is.EqualTo((4, 2L)));
    }

    /// <summary>A connection whose channels are open, as a room finds it that was not told.</summary>
    private sealed class OpenPeer : IMediaPeer
    {
        private int _received;

        public int Received => Volatile.Read(ref _received);

        public PeerState State => PeerState.Connected;

        public PeerStats Stats => default;

        public bool NeedsNegotiation => false;

        public int MissingAudioSections => 0;

        public bool IsReliableOpen => true;

        public bool SendData(DataChannelKind channel, ReadOnlySpan<byte> message) => Interlocked.Increment(ref _received) > 0;

        public Subscription Subscribe(InboundAudio source, string streamId, string trackSid) => new(source, streamId, trackSid);

        public void Unsubscribe(Subscription subscription)
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class Talk(TestServer server, Dictionary<string, SignalClient> clients) : IAsyncDisposable
    {
        public Room Room => server.Server.Rooms.Find("r")!;

        public static async Task<Talk> StartAsync()
        {
            var server = await TestServer.StartAsync();
            var clients = new Dictionary<string, SignalClient>();
            foreach (var identity in new[] { "alice", "bob", "mute", "agent" })
            {
                clients[identity] = await server.JoinAsync(
                    "r",
                    identity,
                    grant: g => identity == "mute" ? g with { CanPublishData = false } : g,
                    more: t => identity == "agent" ? t with { Kind = "agent" } : t);
            }

            return new Talk(server, clients);
        }

        public Task<T> AskAsync<T>(Func<Room, T> question) => Room.AskAsync(() => question(Room), CancellationToken.None);

        public Task SendAsync(string sender, DataPacket packet) => SendAsync(sender, packet.ToByteArray());

        public Task SendAsync(string sender, byte[] bytes) => AskAsync(room =>
        {
            room.OnData(room.Find(sender)!, DataChannelKind.Reliable, bytes);
            return 0;
        });

        public Task<List<DataPacket>> ReceivedAsync(string receiver) =>
            AskAsync(room => room.Find(receiver)!.Outbox.Waiting.Select(bytes => DataPacket.Parser.ParseFrom(bytes)).ToList());

        public async Task<SignalClient> ResumeAsync(string identity, DataChannelReceiveState received)
        {
            var sid = await AskAsync(room => room.Find(identity)!.Sid);
            clients[identity].Cut();
            var back = await server.JoinAsync("r", identity, new JoinRequest { Reconnect = true, ParticipantSid = sid });
            await back.SendAsync(new SignalRequest { SyncState = new SyncState { DatachannelReceiveStates = { received } } });
            return back;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var client in clients.Values)
            {
                await client.DisposeAsync();
            }

            await server.DisposeAsync();
        }
    }
}
