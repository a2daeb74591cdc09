using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;

namespace VoicePlatform.Calls.Features;

/// <summary>A link to the finished recording that works for a quarter of an hour, without a key.</summary>
internal static class GetCallRecording
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(15);

    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}/recording", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetCallRecording))
        .Produces<Response>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<Response>>;

    /// <param name="Size">Bytes.</param>
    public sealed record Response(string Url, DateTimeOffset ExpiresAt, double? DurationS, long? Size);

    internal sealed class Handler(CallDb db, Recordings recordings, TimeProvider clock) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var call = await db.Calls.AsNoTracking().SingleOrDefaultAsync(c => c.Id == request.CallId && c.TenantId == request.TenantId, cancellationToken);
            if (call is not { RecordingStatus: RecordingStatus.Ready })
            {
                return call is null ? CallErrors.NotFound
                    : call.RecordingStatus is null or RecordingStatus.Failed ? CallErrors.NoRecording
                    : CallErrors.RecordingNotReady;
            }

            var expiresAt = clock.GetUtcNow() + Lifetime;
            return new Response(await recordings.SignedLinkAsync(call, expiresAt), expiresAt, call.RecordingDurationMs / 1000.0, call.RecordingSize);
        }
    }
}
