using VoicePlatform.Calls.Data;
using VoicePlatform.Calls.Recording;

namespace VoicePlatform.Calls.Features;

/// <summary>The bytes behind a signed link, whole or by range.</summary>
internal static class ServeRecording
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapGet("/recordings/{token}", async (string token, HttpContext http, IMediator mediator, CancellationToken ct) =>
        {
            // The address is the proof: it must not be left in caches or passed on as a referrer.
            http.Response.Headers.CacheControl = "private, no-store";
            http.Response.Headers["referrer-policy"] = "no-referrer";
            return (await mediator.Send(new Query(token), ct)).ToHttp(file => Results.File(file, "audio/ogg", enableRangeProcessing: true));
        })
        .WithName(nameof(ServeRecording))
        .AllowAnonymous()
        .ExcludeFromDescription();

    public sealed record Query(string Token) : IRequest<Result<string>>;

    internal sealed class Handler(CallDb db, Recordings recordings) : IRequestHandler<Query, Result<string>>
    {
        public async Task<Result<string>> Handle(Query request, CancellationToken cancellationToken)
        {
            var path = recordings.CallOf(request.Token) is { } callId
                ? await db.Calls.AsNoTracking().Where(c => c.Id == callId && c.RecordingInBucket == false).Select(c => c.RecordingPath).SingleOrDefaultAsync(cancellationToken)
                : null;
            return path is not null && File.Exists(recordings.FileOf(path)) ? recordings.FileOf(path) : CallErrors.NoRecording;
        }
    }
}
