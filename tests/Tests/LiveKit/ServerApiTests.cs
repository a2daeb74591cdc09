using System.Net;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class ServerApiTests
{
    private static readonly ApiKey Key = new("APIkey", "a secret of at least thirty-two bytes");
    private readonly ScriptedServer _server = new();
    private readonly LiveKitApi _api;

    public ServerApiTests() => _api = new LiveKitApi(new HttpClient(_server), LiveKitServer.Create("wss://lk.example/base", Key), TimeProvider.System);

    [TestCase("ws://h:7880", "http://h:7880/", "ws://h:7880/")]
    [TestCase("https://h", "https://h/", "wss://h/")]
    [TestCase("wss://h/a/", "https://h/a/", "wss://h/a/")]
    public void Every_form_of_the_address_serves(string given, string http, string webSocket)
    {
        var server = LiveKitServer.Create(given, Key);

        Assert.That((server.HttpUrl.ToString(), server.WebSocketUrl.ToString()), Is.EqualTo((http, webSocket)));
    }

    [TestCase("")]
    [TestCase("localhost:7880")]
    [TestCase("ftp://h")]
    public void Another_address_is_refused(string given) => Assert.Throws<ArgumentException>(() => LiveKitServer.Create(given, Key));

    [Test]
    public async Task A_room_is_created_with_protobuf_and_only_the_grant_it_needs()
    {
        _server.Answer(new Room { Sid = "RM_1", Name = "r" });

        var room = await _api.Rooms.CreateAsync(new CreateRoomRequest { Name = "r", EmptyTimeout = 30 }, default);

        Assert.That(room.Sid, Is.EqualTo("RM_1"));
        Assert.That(_server.Requests.Single().Url, Is.EqualTo("https://lk.example/base/twirp/livekit.RoomService/CreateRoom"));
        Assert.That(CreateRoomRequest.Parser.ParseFrom(_server.Requests.Single().Body).EmptyTimeout, Is.EqualTo(30));
        Assert.That(_server.Requests.Single().Token.Video, Is.EqualTo(new VideoGrant { RoomCreate = true }));
    }

    [Test]
    public async Task Administration_is_granted_for_that_room_only()
    {
        _server.Answer(new AgentDispatch { Id = "AD_1" });

        await _api.Dispatches.CreateAsync(new CreateAgentDispatchRequest { AgentName = "a", Room = "r7" }, default);

        Assert.That(_server.Requests.Single().Token.Video, Is.EqualTo(new VideoGrant { RoomAdmin = true, Room = "r7" }));
    }

    [Test]
    public async Task A_transfer_needs_both_grants()
    {
        _server.Answer(new TransferSIPParticipantResponse { TransferId = "t" });

        await _api.Sip.TransferParticipantAsync(new TransferSIPParticipantRequest { RoomName = "r", ParticipantIdentity = "p", TransferTo = "tel:+1" }, default);

        Assert.That(_server.Requests.Single().Token.Sip, Is.EqualTo(new SipGrant { Call = true }));
        Assert.That(_server.Requests.Single().Token.Video!.RoomAdmin, Is.True);
    }

    [Test]
    public void A_busy_callee_is_told_apart_from_a_busy_server()
    {
        _server.Answer(HttpStatusCode.TooManyRequests, """{"code":"resource_exhausted","msg":"sip status: 486","meta":{"sip_status_code":"486","sip_status":"Busy Here"}}""");

        var e = Assert.ThrowsAsync<LiveKitApiException>(() => _api.Sip.CreateParticipantAsync(new CreateSIPParticipantRequest { WaitUntilAnswered = true }, default))!;

        Assert.That((e.Code, e.SipStatusCode, e.SipStatus, e.IsRetryable, e.OutcomeKnown), Is.EqualTo(("resource_exhausted", 486, "Busy Here", false, true)));
    }

    [Test]
    public void Dialling_is_never_repeated()
    {
        _server.Answer(HttpStatusCode.ServiceUnavailable, """{"code":"unavailable","msg":"no"}""");

        Assert.ThrowsAsync<LiveKitApiException>(() => _api.Sip.CreateParticipantAsync(new CreateSIPParticipantRequest(), default));

        Assert.That(_server.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_question_is_asked_again_when_nobody_answered()
    {
        _server.Fail(new HttpRequestException("refused"));
        _server.Answer(new ListRoomsResponse { Rooms = { new Room { Name = "r" } } });

        Assert.That((await _api.Rooms.ListAsync([], default)).Single().Name, Is.EqualTo("r"));
        Assert.That(_server.Requests, Has.Count.EqualTo(2));
    }

    [Test]
    public void A_refusal_is_final()
    {
        _server.Answer(HttpStatusCode.NotFound, """{"code":"not_found","msg":"no such room"}""");

        var e = Assert.ThrowsAsync<LiveKitApiException>(() => _api.Rooms.DeleteAsync("r", default))!;

        Assert.That((e.Code, e.Message, e.Status), Is.EqualTo(("not_found", "no such room", (HttpStatusCode?)HttpStatusCode.NotFound)));
        Assert.That(_server.Requests, Has.Count.EqualTo(1));
    }

    [TestCase(HttpStatusCode.OK, "<html>hello</html>", "malformed")]
    [TestCase(HttpStatusCode.BadGateway, "<html>", "unavailable")]
    [TestCase(HttpStatusCode.BadRequest, """{"code":5}""", "unknown")]
    [TestCase(HttpStatusCode.BadRequest, "[]", "unknown")]
    public void Answers_of_something_else_are_errors_with_a_reason(HttpStatusCode status, string body, string code)
    {
        _server.Answer(status, body);

        var e = Assert.ThrowsAsync<LiveKitApiException>(() => _api.Rooms.SendDataAsync(new SendDataRequest { Room = "r" }, default))!;

        Assert.That(e.Code, Is.EqualTo(code));
    }

    [Test]
    public void An_unanswered_dial_has_an_unknown_outcome()
    {
        _server.Hang();

        var request = new CreateSIPParticipantRequest { WaitUntilAnswered = true, RingingTimeout = new Duration { Seconds = 1 } };
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        Assert.ThrowsAsync<TaskCanceledException>(() => _api.Sip.CreateParticipantAsync(request, impatient.Token));
        var late = new LiveKitApiException("deadline_exceeded", "late");
        Assert.That((late.OutcomeKnown, late.IsRetryable), Is.EqualTo((false, true)));
    }

    private sealed class ScriptedServer : HttpMessageHandler
    {
        private readonly Queue<Func<CancellationToken, Task<HttpResponseMessage>>> _answers = new();

        public List<(string Url, byte[] Body, AccessToken Token)> Requests { get; } = [];

        public void Answer(IMessage message) => _answers.Enqueue(_ => Task.FromResult(new HttpResponseMessage { Content = new ByteArrayContent(message.ToByteArray()) }));

        public void Answer(HttpStatusCode status, string body) =>
            _answers.Enqueue(_ => Task.FromResult(new HttpResponseMessage(status) { Content = new StringContent(body, Encoding.UTF8) }));

        public void Fail(Exception e) => _answers.Enqueue(_ => Task.FromException<HttpResponseMessage>(e));

        public void Hang() => _answers.Enqueue(async ct =>
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
            return new HttpResponseMessage();
        });

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Assert.That(request.Content!.Headers.ContentType!.MediaType, Is.EqualTo("application/protobuf"));
            var verifier = new TokenVerifier(Key, TimeProvider.System);
            Assert.That(verifier.TryVerify(request.Headers.Authorization!.Parameter, out var verified, out var refusal), Is.True, refusal);
            Requests.Add((request.RequestUri!.ToString(), await request.Content.ReadAsByteArrayAsync(cancellationToken), verified!.Token));
            return await _answers.Dequeue()(cancellationToken);
        }
    }
}
