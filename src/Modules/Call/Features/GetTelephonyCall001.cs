using System.Text.Json;
using Microsoft.Extensions.Options;
using VoicePlatform.Calls.Data;

namespace VoicePlatform.Calls.Features;

/// <summary>Seed 001's routes for people who develop: a call by its id or its room, without a key. Nothing of it is there in production.</summary>
internal static class GetTelephonyCall001
{
    private static readonly JsonSerializerOptions CamelCase = new(Json.Options) { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static void Map(IEndpointRouteBuilder app)
    {
        app.MapGet("/telephony/calls/{callId}", (string callId, IMediator mediator, CancellationToken ct) => AnswerAsync(new(callId, null), mediator, ct))
            .WithName(nameof(GetTelephonyCall001)).AllowAnonymous().ExcludeFromDescription();
        app.MapGet("/telephony/calls/by-room/{roomName}", (string roomName, IMediator mediator, CancellationToken ct) => AnswerAsync(new(null, roomName), mediator, ct))
            .AllowAnonymous().ExcludeFromDescription();
    }

    public sealed record Query(string? CallId, string? RoomName) : IRequest<Result<Response>>;

    public sealed record Response(
        string CallId, string? RoomName, string Direction, string Status, string From, string To, DateTimeOffset CreatedAt, DateTimeOffset? AnsweredAt, DateTimeOffset? EndedAt);

    private static async Task<IResult> AnswerAsync(Query query, IMediator mediator, CancellationToken ct) =>
        (await mediator.Send(query, ct)).ToHttp(r => Results.Json(r, CamelCase));

    internal sealed class Handler(CallDb db, IOptions<CallOptions> options) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            if (options.Value.IsProduction || !options.Value.IsSeed001Enabled)
            {
                return CallErrors.NotFound;
            }

            var call = await db.Calls.AsNoTracking()
                .SingleOrDefaultAsync(c => request.CallId != null ? c.Id == request.CallId : c.RoomName == request.RoomName, cancellationToken);
            return call is null
                ? CallErrors.NotFound
                : new Response(
                    call.Id, call.RoomName, CallDb.Text(call.Direction), CallDb.Text(call.Status), call.FromNumber, call.ToNumber, call.CreatedAt, call.AnsweredAt, call.EndedAt);
        }
    }
}
