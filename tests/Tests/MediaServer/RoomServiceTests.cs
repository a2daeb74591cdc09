using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using Kind = VoicePlatform.LiveKit.Protocol.SignalResponse.MessageOneofCase;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class RoomServiceTests
{
    private static readonly VideoGrant Create = new() { RoomCreate = true };

    private static VideoGrant Admin(string room) => new() { RoomAdmin = true, Room = room };

    [Test]
    public async Task A_created_room_is_answered_with_all_fields_in_snake_case()
    {
        await using var server = await TestServer.StartAsync();
        var room = await server.CallAsync("CreateRoom", Create, new { name = "trace", emptyTimeout = 60, metadata = "m" });
        Assert.That(room.GetProperty("sid").GetString(), Does.StartWith("RM_"));
        Assert.That(room.GetProperty("empty_timeout").GetInt32(), Is.EqualTo(60));
        Assert.That(room.GetProperty("departure_timeout").GetInt32(), Is.EqualTo(20));
        Assert.That(room.GetProperty("max_participants").GetInt32(), Is.Zero);
        Assert.That(room.GetProperty("creation_time").ValueKind, Is.EqualTo(JsonValueKind.String), "64-bit numbers are strings");
        Assert.That(room.GetProperty("active_recording").GetBoolean(), Is.False);
        Assert.That((await server.WebhookAsync("room_started")).Room.Name, Is.EqualTo("trace"));

        var again = await server.CallAsync("CreateRoom", Create, new { name = "trace" });
        Assert.That(again.GetProperty("sid").GetString(), Is.EqualTo(room.GetProperty("sid").GetString()), "creating twice is finding");
        Assert.That(again.GetProperty("metadata").GetString(), Is.EqualTo("m"));
    }

    [Test]
    public async Task Protobuf_bodies_are_answered_with_protobuf()
    {
        await using var server = await TestServer.StartAsync();
        var body = new ByteArrayContent(new CreateRoomRequest { Name = "p" }.ToByteArray());
        body.Headers.ContentType = new MediaTypeHeaderValue("application/protobuf");
        using var response = await server.PostAsync("CreateRoom", TestServer.Token(Create), body);
        Assert.That(response.Content.Headers.ContentType!.MediaType, Is.EqualTo("application/protobuf"));
        Assert.That(Room.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync()).Name, Is.EqualTo("p"));
    }

    [Test]
    public async Task Data_that_no_channel_takes_is_refused_with_the_limit()
    {
        await using var server = await TestServer.StartAsync();
        await server.CallAsync("CreateRoom", Create, new { name = "r" });
        using var response = await server.PostAsync("SendData", TestServer.Token(Admin("r")), JsonContent.Create(new { room = "r", data = new byte[300 * 1024] }));
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        Assert.That(((int)response.StatusCode, error.GetProperty("code").GetString()), Is.EqualTo((400, "invalid_argument")));
        Assert.That(error.GetProperty("msg").GetString(), Does.Contain("262144 bytes"));
    }

    [TestCase("ListRooms", "", """{}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("ListRooms", "join", """{}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("CreateRoom", "list", """{"name":"x"}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("ListParticipants", "admin:a", """{"room":"b"}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("ListParticipants", "admin:", """{"room":""}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("DeleteRoom", "admin:a", """{"room":"a"}""", 401, "unauthenticated", "permissions denied")]
    [TestCase("Nope", "list", """{}""", 404, "bad_route", "no handler for path \"/twirp/livekit.RoomService/Nope\"")]
    [TestCase("livekit.Ingress/CreateIngress", "list", """{}""", 404, "bad_route", "no handler for path \"/twirp/livekit.Ingress/CreateIngress\"")]
    [TestCase("GetParticipant", "admin:a", """{"room":"a","identity":"nobody"}""", 404, "not_found", "twirp error unknown: participant does not exist")]
    [TestCase("DeleteRoom", "create", """{"room":"none"}""", 404, "not_found", "requested room does not exist")]
    [TestCase("UpdateRoomMetadata", "admin:none", """{"room":"none"}""", 404, "not_found", "requested room does not exist")]
    [TestCase("CreateRoom", "create", """{"name":""}""", 400, "invalid_argument", null)]
    [TestCase("CreateRoom", "create", """{"name":5}""", 400, "malformed", null)]
    [TestCase("CreateRoom", "create", """{"name":"x","egress":{"room":{}}}""", 400, "invalid_argument", null)]
    [TestCase("CreateRoom", "create", """{"name":"x","egress":{"tracks":{"filepath":"x"}}}""", 501, "unimplemented", null)]
    [TestCase("CreateRoom", "create", """{"name":""", 400, "malformed", null)]
    [TestCase("MutePublishedTrack", "admin:a", """{"room":"a","identity":"x","trackSid":"TR","muted":false}""", 412, "failed_precondition", null)]
    [TestCase("MoveParticipant", "admin:a", """{"room":"a","identity":"x","destinationRoom":"b"}""", 401, "unauthenticated", "permissions denied")]
    public async Task Refusals_have_the_recorded_code_status_and_words(string method, string who, string body, int status, string code, string? message)
    {
        await using var server = await TestServer.StartAsync();
        var token = who.Split(':') switch
        {
            [""] => null,
            ["join"] => TestServer.JoinToken("a", "x"),
            ["list"] => TestServer.Token(new VideoGrant { RoomList = true }),
            ["create"] => TestServer.Token(Create),
            ["admin", var room] => TestServer.Token(Admin(room)),
            _ => throw new ArgumentException(who, nameof(who)),
        };
        using var response = await server.PostAsync(method, token, new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.That((int)response.StatusCode, Is.EqualTo(status));
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        Assert.That(error.GetProperty("code").GetString(), Is.EqualTo(code));
        Assert.That(error.GetProperty("msg").GetString(), message is null ? Is.Not.Empty : Is.EqualTo(message));
    }

    [Test]
    public async Task Participants_can_be_listed_changed_and_removed()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        await using var bob = await server.JoinAsync("r", "bob", grant: g => g with { CanUpdateOwnMetadata = true });
        var listed = await server.CallAsync("ListParticipants", Admin("r"), new { room = "r" });
        Assert.That(listed.GetProperty("participants").EnumerateArray().Select(p => p.GetProperty("identity").GetString()), Is.EquivalentTo(new[] { "alice", "bob" }));

        var changed = await server.CallAsync("UpdateParticipant", Admin("r"), new
        {
            room = "r",
            identity = "bob",
            metadata = "srv",
            name = "Bob",
            permission = new { canSubscribe = true, canPublishData = true },
            attributes = new { x = "y" },
        });
        Assert.That(changed.GetProperty("permission").GetProperty("can_publish").GetBoolean(), Is.False);
        var seen = await alice.UpdateOfAsync("bob", p => p.Metadata == "srv");
        Assert.That((seen.Name, seen.Attributes["x"], seen.Permission.CanPublish), Is.EqualTo(("Bob", "y", false)));
        await bob.NextAsync(Kind.Update, r => r.Update.Participants.Any(p => p.Metadata == "srv"));
        await bob.NextAsync(Kind.RefreshToken);

        await server.CallAsync("RemoveParticipant", Admin("r"), new { room = "r", identity = "bob" });
        Assert.That((await bob.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.ParticipantRemoved));
        Assert.That((await alice.UpdateOfAsync("bob", p => p.State is ParticipantInfo.Types.State.Disconnected)).DisconnectReason, Is.EqualTo(DisconnectReason.ParticipantRemoved));
    }

    [Test]
    public async Task A_refused_change_changes_nothing()
    {
        await using var server = await TestServer.StartAsync();
        await using var bob = await server.JoinAsync("r", "bob");
        using var response = await server.PostAsync("UpdateParticipant", TestServer.Token(Admin("r")), new StringContent(
            JsonSerializer.Serialize(new { room = "r", identity = "bob", name = "new", metadata = new string('x', 600 * 1024) }), Encoding.UTF8, "application/json"));
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        var now = await server.CallAsync("GetParticipant", Admin("r"), new { room = "r", identity = "bob" });
        Assert.That(now.GetProperty("name").GetString(), Is.Empty);
    }

    [Test]
    public async Task Deleting_a_room_sends_everybody_away_and_its_name_is_free_again()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        var sid = (await alice.NextAsync(Kind.Join)).Join.Room.Sid;
        await server.CallAsync("DeleteRoom", Create, new { room = "r" });
        Assert.That((await alice.NextAsync(Kind.Leave)).Leave.Reason, Is.EqualTo(DisconnectReason.RoomDeleted));
        await alice.ClosedAsync();
        await server.WebhookAsync("room_finished", w => w.Room.Sid == sid);
        await using var again = await server.JoinAsync("r", "alice");
        Assert.That((await again.NextAsync(Kind.Join)).Join.Room.Sid, Is.Not.EqualTo(sid));
    }

    [Test]
    public async Task Room_metadata_reaches_everybody()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        var room = await server.CallAsync("UpdateRoomMetadata", Admin("r"), new { room = "r", metadata = "b" });
        Assert.That(room.GetProperty("metadata").GetString(), Is.EqualTo("b"));
        await alice.NextAsync(Kind.RoomUpdate, r => r.RoomUpdate.Room.Metadata == "b");
    }

    [Test]
    public async Task An_empty_room_ends_by_itself()
    {
        await using var server = await TestServer.StartAsync();
        await server.CallAsync("CreateRoom", Create, new { name = "short", emptyTimeout = 1, departureTimeout = 1 });
        await server.WebhookAsync("room_finished", w => w.Room.Name == "short");
        Assert.That(server.Server.Rooms.Find("short"), Is.Null);
    }

    [Test]
    public async Task A_call_to_a_participant_that_does_not_answer_ends_in_time()
    {
        await using var server = await TestServer.StartAsync();
        await using var alice = await server.JoinAsync("r", "alice");
        using var response = await server.PostAsync("PerformRpc", TestServer.Token(Admin("r")), new StringContent(
            """{"room":"r","destinationIdentity":"alice","method":"m","payload":"p","responseTimeoutMs":200}""", Encoding.UTF8, "application/json"));
        Assert.That((int)response.StatusCode, Is.EqualTo(408));
    }
}
