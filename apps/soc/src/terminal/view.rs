//! What the terminal looks like: disassembly, registers, memory, the machine's screen, answers, the command line.

use super::{Focus, Terminal};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Gauge, Paragraph};
use soc_assembler::instruction_text;
use soc_debugger::{memory_text, registers_text};
use soc_machine::map::{GRAPHICS_HEIGHT, GRAPHICS_WIDTH};

impl Terminal {
    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame) {
        let [main, answers, line] =
            Layout::vertical([Constraint::Fill(3), Constraint::Fill(1), Constraint::Length(1)])
                .areas(frame.area());
        let [code, right] = Layout::horizontal([Constraint::Fill(2), Constraint::Fill(3)]).areas(main);
        let [registers, memory, screen] =
            Layout::vertical([Constraint::Length(7), Constraint::Length(7), Constraint::Fill(1)])
                .areas(right);
        self.draw_code(frame, code);
        frame.render_widget(boxed("registers", &registers_text(self.debugger.machine())), registers);
        let rows = u32::from(memory.height.saturating_sub(2));
        let text = memory_text(self.debugger.machine(), self.memory_at, rows * 16);
        frame.render_widget(boxed("memory", &text), memory);
        self.draw_screen(frame, screen);
        self.draw_answers(frame, answers);
        self.draw_line(frame, line);
    }

    fn draw_code(&self, frame: &mut Frame, area: Rect) {
        let machine = self.debugger.machine();
        let ip = machine.cpu().ip();
        let rows = u32::from(area.height.saturating_sub(2));
        let start = ip.saturating_sub(rows / 3 * 8);
        let mut lines: Vec<Line> = Vec::new();
        for index in 0..rows {
            let at = start.saturating_add(index * 8);
            let Some(word) = machine.word(at) else { break };
            for label in self.debugger.symbols().all_at(at) {
                lines.push(Line::styled(format!("{label}:"), Style::new().fg(Color::Yellow)));
            }
            let is_point = self.debugger.breakpoints().iter().any(|point| point.address == at);
            let point =
                if is_point { Span::styled("●", Style::new().fg(Color::Red)) } else { Span::raw(" ") };
            let mark = if at == ip { "▶" } else { " " };
            let text = format!("{at:08x}  {:<24}", instruction_text(&word, self.debugger.symbols()));
            let comment =
                self.debugger.source_line(at).and_then(|line| self.source.comment(line)).unwrap_or("");
            let style = if at == ip { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
            lines.push(Line::from(vec![
                point,
                Span::raw(mark),
                Span::styled(text, style),
                Span::styled(format!(" {comment}"), Style::new().fg(Color::DarkGray)),
            ]));
        }
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("code")), area);
    }

    fn draw_screen(&self, frame: &mut Frame, area: Rect) {
        let machine = self.debugger.machine();
        let title =
            if self.focus == Focus::Machine { "screen: keys go to the machine, Esc ends" } else { "screen" };
        let block = Block::bordered().title(title);
        let inner = block.inner(area);
        let lines: Vec<Line> = if machine.shows_text() {
            machine.text_lines().map(Line::raw).collect()
        } else {
            (0..inner.height).map(|row| picture_row(machine.graphics(), row, inner)).collect()
        };
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }

    fn draw_answers(&self, frame: &mut Frame, area: Rect) {
        let rows = usize::from(area.height.saturating_sub(2));
        let from = self.answers.len().saturating_sub(rows);
        frame.render_widget(boxed("answers", &self.answers[from..].join("\n")), area);
    }

    fn draw_line(&self, frame: &mut Frame, area: Rect) {
        if let Some(done) = self.progress {
            let label = format!("searching the past: {:.0} %, Esc cancels", done * 100.0);
            return frame.render_widget(Gauge::default().ratio(done.clamp(0.0, 1.0)).label(label), area);
        }
        let text = if self.debugger.is_busy() {
            "running: Esc stops".to_owned()
        } else {
            format!("(soc) {}▏", self.line)
        };
        frame.render_widget(Paragraph::new(text), area);
    }
}

fn boxed<'a>(title: &'a str, text: &str) -> Paragraph<'a> {
    Paragraph::new(text.to_owned()).block(Block::bordered().title(title))
}

/// One row of cells, each of two pixels one above the other, the picture scaled to the area.
fn picture_row(pixels: &[u8], row: u16, area: Rect) -> Line<'static> {
    let pixel = |x: u16, y: u16| {
        let x = u32::from(x) * GRAPHICS_WIDTH / u32::from(area.width.max(1));
        let y = u32::from(y) * GRAPHICS_HEIGHT / (2 * u32::from(area.height.max(1)));
        let at = 4 * (y * GRAPHICS_WIDTH + x) as usize;
        match pixels.get(at..at + 4) {
            Some(&[r, g, b, a]) if a > 0 => Color::Rgb(r, g, b),
            _ => Color::Black,
        }
    };
    let cells = (0..area.width).map(|x| {
        let style = Style::new().fg(pixel(x, 2 * row)).bg(pixel(x, 2 * row + 1));
        Span::styled("▀", style)
    });
    Line::from(cells.collect::<Vec<_>>())
}
