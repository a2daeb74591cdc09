using Dapper;
using Microsoft.Extensions.Options;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Mail;

namespace VoicePlatform.Tenants.Answers;

internal sealed partial class SendMailHandler(
    UnitOfWork unit, IOptions<MailOptions> options, [FromKeyedServices(typeof(MailSender))] WakeUp sender, TimeProvider clock, ILogger<SendMailHandler> log)
    : IRequestHandler<SendMail, Result<Done>>
{
    public async Task<Result<Done>> Handle(SendMail request, CancellationToken cancellationToken)
    {
        if (options.Value.Host is null)
        {
            Dropped(log, request.Subject);
            return default(Done);
        }

        var now = clock.GetUtcNow();
        await unit.Connection.ExecuteAsync(new(
            """
            INSERT INTO tenant.mails (id, tenant_id, recipient, subject, body, created_at, next_attempt_at)
            VALUES (@Id, @TenantId, @To, @Subject, @Text, @Now, @Now)
            """,
            new { Id = Ids.New(Ids.Mail, now), request.TenantId, request.To, Subject = request.Subject.ReplaceLineEndings(" "), request.Text, Now = now },
            unit.Transaction,
            cancellationToken: cancellationToken));
        unit.AfterCommit(sender.Wake);
        return default(Done);
    }

    [LoggerMessage(LogLevel.Information, "No SMTP_HOST is set: the mail '{Subject}' is not sent")]
    private static partial void Dropped(ILogger logger, string subject);
}

internal sealed class MailContactsHandler(TenantDb db, IMediator mediator) : IRequestHandler<MailContacts, Result<Done>>
{
    private const int Most = 20;

    public async Task<Result<Done>> Handle(MailContacts request, CancellationToken cancellationToken)
    {
        var contact = await db.Tenants.Where(t => t.Id == request.TenantId).Select(t => t.ContactEmail).SingleOrDefaultAsync(cancellationToken);
        List<string> addresses = contact is not null
            ? [contact]
            : await db.Users
                .Where(u => u.TenantId == request.TenantId && u.DeletedAt == null && (u.Role == Role.Owner || u.Role == Role.Admin))
                .OrderBy(u => u.Id).Select(u => u.Email).Take(Most).ToListAsync(cancellationToken);
        foreach (var address in addresses.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            await mediator.Send(new SendMail(request.TenantId, address, request.Subject, request.Text), cancellationToken);
        }

        return default(Done);
    }
}
